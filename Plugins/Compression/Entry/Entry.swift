public import CSluice
import Compression
import SluiceSDK

/// The library's only symbol: see `sluice/hello.h`.
@c @implementation
public func sluice_plugin_hello_v0(
    _ host: UnsafePointer<sluice_host_hello>?,
    _ out: UnsafeMutablePointer<sluice_plugin_hello>?
) -> Int32 {
    let result = Export<CompressionFilter>.hello(host, out)
    // What `sluice plugin inspect --load` shows: the codings that this machine has.
    if result == 0, let out { out.pointee.description = CompressionFilter.found().slice }
    return result
}
