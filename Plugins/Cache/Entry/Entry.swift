public import CSluice
import Cache
import SluiceSDK

/// The library's only symbol: see `sluice/hello.h`.
@c @implementation
public func sluice_plugin_hello_v0(
    _ host: UnsafePointer<sluice_host_hello>?,
    _ out: UnsafeMutablePointer<sluice_plugin_hello>?
) -> Int32 {
    Export<CacheFilter>.hello(host, out)
}
