import CSluice
import SluiceSDK

/// The library's only symbol; `sluice/hello.h` declares it.
@c @implementation
public func sluice_plugin_hello_v0(
    _ host: UnsafePointer<sluice_host_hello>?,
    _ out: UnsafeMutablePointer<sluice_plugin_hello>?
) -> Int32 {
    Export<SwiftCounter>.hello(host, out)
}
