internal import COpenSSL
internal import Synchronization
internal import Sys

/// Keys of a listener's session tickets (RFC 5077 §4), the same for all workers.
///
/// The newest encrypts; the two before it still decrypt. A key that was found out opens what was
/// recorded while it was in use, so keys live in memory only, and not longer than three rotations.
final class TicketKeys: Sendable {
    /// Bytes of a name, of a key for AES-256, and of a key for HMAC-SHA-256.
    private static let sizes = (name: 16, cipher: 32, mac: 32)
    static let keyBytes = 80
    /// Keys that are kept.
    static let keysMax = 3

    struct Key: Sendable {
        /// Name, cipher's and MAC's key.
        var bytes: [UInt8]
        /// Seconds since the epoch.
        var madeAt: UInt64
    }

    /// Newest first.
    private let keys: Mutex<[Key]>
    /// Seconds.
    private let rotation: UInt64
    private let algorithms: Algorithms

    /// Looked up once: a look-up by name is the larger part of a ticket's cost.
    private final class Algorithms: @unchecked Sendable {
        // Safe: only read once they are made; OpenSSL counts their users atomically.
        let cipher = EVP_CIPHER_fetch(nil, "AES-256-CBC", nil)

        deinit { EVP_CIPHER_free(cipher) }
    }

    /// - Parameter rotationSeconds: 60 or more.
    init(rotationSeconds: UInt64) {
        rotation = rotationSeconds
        keys = Mutex([Self.make(at: Clock.wallSeconds())])
        algorithms = Algorithms()
    }

    private static func make(at now: UInt64) -> Key {
        var bytes = [UInt8](repeating: 0, count: keyBytes)
        precondition(RAND_priv_bytes(&bytes, Int32(keyBytes)) == 1, "no random bytes for a key")
        return Key(bytes: bytes, madeAt: now)
    }

    /// Makes a new key when it is time, and forgets old ones.
    func rotate(now: UInt64 = Clock.wallSeconds()) {
        keys.withLock { keys in
            // A clock that was set back must not keep a key for ever.
            let isDue = keys.first.map { now >= $0.madeAt + rotation || now < $0.madeAt } ?? true
            guard isDue else { return }
            keys.insert(Self.make(at: now), at: 0)
            let live = keys.prefix(Self.keysMax).filter {
                $0.madeAt <= now && now < $0.madeAt + 3 * rotation
            }
            for index in keys.indices { Self.wipe(&keys[index]) }
            keys = live
        }
    }

    private static func wipe(_ key: inout Key) {
        // A copy that was kept has bytes of its own by then.
        key.bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
    }

    // MARK: Handing over

    /// All keys, for the next process: they are secrets.
    func exported() -> [UInt8] {
        keys.withLock { keys in
            keys.flatMap { key in
                key.bytes + (0..<8).map { UInt8(truncatingIfNeeded: key.madeAt >> (8 * $0)) }
            }
        }
    }

    /// Takes over what `exported` gave; false, and nothing changed, for anything else.
    func take(_ bytes: [UInt8]) -> Bool {
        let size = Self.keyBytes + 8
        guard !bytes.isEmpty, bytes.count % size == 0, bytes.count / size <= Self.keysMax else {
            return false
        }
        let taken = stride(from: 0, to: bytes.count, by: size).map { start in
            Key(
                bytes: Array(bytes[start..<start + Self.keyBytes]),
                madeAt: bytes[start + Self.keyBytes..<start + size].reversed()
                    .reduce(0) { $0 << 8 | UInt64($1) }
            )
        }
        keys.withLock { $0 = taken }
        rotate()
        return true
    }

    // MARK: Tickets

    /// What the callback of OpenSSL says.
    enum Answer: Int32 {
        case failed = -1
        case unknown = 0
        case good = 1
        /// Good, and the client should get a new one.
        case renew = 2
    }

    /// Sets up the encryption of a ticket: writes the key's name and a random vector.
    func encrypt(
        name: UnsafeMutablePointer<UInt8>,
        vector: UnsafeMutablePointer<UInt8>,
        _ cipher: OpaquePointer,
        _ mac: OpaquePointer
    ) -> Answer {
        rotate()
        guard RAND_bytes(vector, 16) == 1 else { return .failed }
        return keys.withLock { keys in
            keys[0].bytes.withUnsafeBufferPointer { key in
                guard let bytes = key.baseAddress else { return .failed }
                // Safe: a key has `keyBytes`, its name the first of them.
                name.update(from: bytes, count: Self.sizes.name)
                return start(bytes, vector, cipher, mac, encrypts: 1) ? .good : .failed
            }
        }
    }

    /// Sets up the decryption of a ticket by its key's name.
    func decrypt(
        name: UnsafePointer<UInt8>,
        vector: UnsafePointer<UInt8>,
        _ cipher: OpaquePointer,
        _ mac: OpaquePointer
    ) -> Answer {
        rotate()
        return keys.withLock { keys in
            for (index, key) in keys.enumerated() {
                let answer = key.bytes.withUnsafeBufferPointer { key -> Answer in
                    guard let bytes = key.baseAddress,
                        CRYPTO_memcmp(bytes, name, Self.sizes.name) == 0
                    else { return .unknown }
                    guard start(bytes, vector, cipher, mac, encrypts: 0) else { return .failed }
                    return index == 0 ? .good : .renew
                }
                if answer != .unknown { return answer }
            }
            return .unknown
        }
    }

    private func start(
        _ key: UnsafePointer<UInt8>,
        _ vector: UnsafePointer<UInt8>,
        _ cipher: OpaquePointer,
        _ mac: OpaquePointer,
        encrypts: Int32
    ) -> Bool {
        let cipherKey = key + Self.sizes.name
        let macKey = cipherKey + Self.sizes.cipher
        return EVP_CipherInit_ex(cipher, algorithms.cipher, nil, cipherKey, vector, encrypts) == 1
            && copenssl_mac_set_key(mac, macKey, Self.sizes.mac) == 1
    }
}
