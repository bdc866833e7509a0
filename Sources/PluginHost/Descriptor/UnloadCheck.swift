/// Whether an image can be given back to the system, as far as its file shows.
///
/// Unmapping is safe when nothing keeps a pointer into the image: no thread that runs its code, no
/// function that the C library or the kernel was told to call, no runtime that remembers its types
/// (docs/plugin-integrity.md#unmapping). The file's imports show which of these it could have. What
/// it asked of the host itself (timers, tasks, buffers) the host knows.
enum UnloadCheck {
    /// What the C library or the kernel would call, or read, after the image is gone.
    private static let keepers: [(names: Set<String>, reason: String)] = [
        (
            ["pthread_create", "thrd_create", "clone", "clone3"],
            "could have started a thread that still runs its code"
        ),
        (
            ["sigaction", "signal", "sigset", "bsd_signal", "sysv_signal"],
            "could have left a signal handler; a Swift runtime inside has one too"
        ),
        (["tss_create"], "could have left a destructor of thread-specific data"),
        (
            ["timer_create", "mq_notify", "getaddrinfo_a", "aio_read", "aio_write", "lio_listio"],
            "could have left a notification that starts a thread"
        ),
        (["on_exit", "putenv", "openlog"], "could have left a pointer with the C library"),
    ]

    /// Libraries that the process has anyway, and that closing this one does not take along.
    private static let harmless: Set<String> = [
        "libc.so.6", "libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1",
        "libstdc++.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
    ]

    /// Each the end of "not unmapped: "; empty when nothing was found.
    static func obstacles(_ image: ELFImage) throws(ELFImage.Malformed) -> [String] {
        var obstacles: [String] = []
        if image.isNeverDeleted { obstacles.append("linked with -z nodelete") }
        if try image.hasUniqueSymbols() {
            obstacles.append(
                "has symbols that the linker keeps for ever (STB_GNU_UNIQUE); compile it with "
                    + "-fno-gnu-unique"
            )
        }
        for name in try image.needed() where !harmless.contains(name) {
            obstacles.append(
                name.hasPrefix("libswift")
                    ? "needs \(name), a Swift runtime that remembers its types"
                    : "needs \(name), which may not bear to be unloaded with it"
            )
        }
        let imports = Set(try image.imports())
        for (names, reason) in keepers {
            guard let name = names.intersection(imports).min() else { continue }
            obstacles.append("imports \(name): it \(reason)")
        }
        // Rust's standard library makes keys only where the C library has no such function, and
        // with it the linker keeps an image as long as a thread has destructors to run in it.
        if imports.contains("pthread_key_create"), !imports.contains("__cxa_thread_atexit_impl") {
            obstacles.append(
                "imports pthread_key_create: it could have left a destructor of thread-specific "
                    + "data"
            )
        }
        return obstacles
    }
}

extension PluginFile {
    /// Why the library's image can't be unmapped, each the end of "not unmapped: "; empty when it
    /// can be.
    public var unloadObstacles: [String] {
        do throws(ELFImage.Malformed) {
            return try UnloadCheck.obstacles(try ELFImage(bytes))
        } catch {
            return [error.text]
        }
    }

    /// Bytes of address space that the image takes; 0 of a file that can't be loaded.
    var mappedBytes: Int {
        (try? ELFImage(bytes).mappedBytes()) ?? 0
    }
}
