import CSluice
import PluginHost
import Sys
import TLS

/// What plugins see of a client's TLS: made once for a connection, with its texts behind it.
enum TLSFacts {
    /// Bytes of the texts that are copied: a subject over what is left is not told at all.
    static let textBytes = 1_024

    /// Nil without memory.
    static func make(
        of tls: UnsafeMutablePointer<TLSStream>
    ) -> UnsafeMutablePointer<sluice_tls_facts>? {
        let stride = (MemoryLayout<sluice_tls_facts>.stride + 15) & ~15
        // Most clients have no certificate, and all keep their facts while they are idle.
        let room = tls.pointee.isPeerVerified ? textBytes : 0
        let block = UnsafeMutableRawPointer.allocate(byteCount: stride + room, alignment: 16)
        // Safe: the block begins with room for the facts, and its rest is the texts'.
        let facts = block.bindMemory(to: sluice_tls_facts.self, capacity: 1)
        var text = Text(
            next: (block + stride).assumingMemoryBound(to: UInt8.self),
            room: room
        )
        facts.initialize(to: sluice_tls_facts())
        facts.pointee.size = UInt32(MemoryLayout<sluice_tls_facts>.size)
        facts.pointee.version = tls.pointee.versionNumber
        facts.pointee.is_resumed = tls.pointee.isResumed ? 1 : 0
        // Of the library, or of the stream: both outlive the facts.
        facts.pointee.cipher = slice(tls.pointee.cipher)
        facts.pointee.server_name = slice(tls.pointee.serverName)
        switch tls.pointee.alpn {
        case .none: break
        case .h1: facts.pointee.alpn = sluice_slice("http/1.1")
        case .h1_0: facts.pointee.alpn = sluice_slice("http/1.0")
        case .h2: facts.pointee.alpn = sluice_slice("h2")
        }
        if room > 0 {
            facts.pointee.client_fingerprint = text.write(.sha256, of: tls)
            facts.pointee.client_subject = text.write(.subject, of: tls)
        }
        return facts
    }

    private static func slice(_ text: UnsafePointer<CChar>?) -> sluice_slice {
        guard let text else { return sluice_slice() }
        var count = 0
        while text[count] != 0 { count += 1 }
        // Safe: the text's own bytes.
        let bytes = UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self)
        return sluice_slice(ptr: bytes, len: UInt64(count))
    }

    private struct Text {
        var next: UnsafeMutablePointer<UInt8>
        var room: Int

        mutating func write(
            _ text: TLSStream.CertificateText,
            of tls: UnsafeMutablePointer<TLSStream>
        ) -> sluice_slice {
            let count = tls.pointee.write(text, to: next, room: room)
            guard count > 0 else { return sluice_slice() }
            let slice = sluice_slice(ptr: next, len: UInt64(count))
            next += count
            room -= count
            return slice
        }
    }
}
