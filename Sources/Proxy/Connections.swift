import CSluice
import HTTP
import PluginHost
import Reactor
import Sys
import TLS

/// What the timer of an object belongs to.
enum TimerKind {
    static let downstream: UInt8 = 1
    static let upstream: UInt8 = 2
    static let listeners: UInt8 = 3
    static let suspension: UInt8 = 4
    static let callout: UInt8 = 6
    static let tasks: UInt8 = 5
    static let pending: UInt8 = 7
}

/// State bits of a connection.
struct ConnectionFlags: OptionSet {
    var rawValue: UInt16
    init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Closed; its memory is taken back after the batch of events.
    static let dead = ConnectionFlags(rawValue: 1 << 0)
    /// There may be bytes, or an end, to read.
    static let readable = ConnectionFlags(rawValue: 1 << 1)
    /// The peer has said that it will send no more, so a short read is not the last one.
    static let readClosed = ConnectionFlags(rawValue: 1 << 2)
    /// A read returned the end.
    static let ended = ConnectionFlags(rawValue: 1 << 3)
    /// In the worker's list of connections to go on with.
    static let queued = ConnectionFlags(rawValue: 1 << 4)
    /// Reset or otherwise broken, as the kernel reported.
    static let failed = ConnectionFlags(rawValue: 1 << 5)
    /// Upstream: took a request before the one it has now.
    static let reused = ConnectionFlags(rawValue: 1 << 6)
    /// Downstream: the first request's head is still to come.
    static let fresh = ConnectionFlags(rawValue: 1 << 7)
    /// A stream of HTTP/2 that is to become a tunnel (RFC 8441).
    static let tunnels = ConnectionFlags(rawValue: 1 << 9)
    /// Upstream: a stream of HTTP/2.
    static let stream = ConnectionFlags(rawValue: 1 << 11)
    /// A stream to a peer that has done nothing with the request (RFC 9113 §8.7).
    static let refused = ConnectionFlags(rawValue: 1 << 10)
    /// Nothing is sent any more once the socket has taken what TLS has.
    static let finishes = ConnectionFlags(rawValue: 1 << 8)
    /// Downstream: stands for a client where there is none.
    static let absent = ConnectionFlags(rawValue: 1 << 14)
    /// Downstream: its listener is gone; it ends as soon as what was begun on it has ended.
    static let leaves = ConnectionFlags(rawValue: 1 << 13)
    /// A stream to a peer whose response's head has fields that no one may index (RFC 7541 §6.2.3).
    static let neverIndexed = ConnectionFlags(rawValue: 1 << 12)
}

/// Where a client's connection stands.
enum DownstreamState: UInt8 {
    /// Waiting for the PROXY header; not yet counted with its client's address.
    case proxyHeader
    /// Of TLS; no request has been seen.
    case handshake
    /// Waiting for a request; holds no buffer.
    case idle
    /// Part of a head has come.
    case head
    /// A request of the host's own is to begin.
    case due
    /// A request is being served.
    case exchange
    /// HTTP/2: requests come as streams.
    case multiplexed
    /// The answer is out and says close; waiting for the client's end so that closing is no reset.
    case lingering
}

/// A client's connection: plain memory in a slab, about 150 bytes, and nothing else while idle.
struct Downstream {
    var timer = TimerNode(kind: TimerKind.downstream)
    var fd: Int32
    var flags: ConnectionFlags = [.fresh]
    var state = DownstreamState.idle
    var listener: UInt16
    var port: UInt16
    var requests: UInt32 = 0
    /// Nanoseconds of the worker's clock; 0 of a stream.
    var acceptedAt: UInt64 = 0
    /// Unique in this process; 0 of a stream, whose connection has one.
    var number: UInt64 = 0
    /// Unread input: part of a head, or what came behind the current message.
    var input: UnsafeMutablePointer<UInt8>?
    var inputCapacity: UInt32 = 0
    var inputStart: UInt32 = 0
    var inputEnd: UInt32 = 0
    /// Searches a partial head for its end.
    var scanner = HeadEndScanner()
    var exchange: UnsafeMutablePointer<Exchange>?
    /// Nil when the client does not speak TLS.
    var tls: UnsafeMutablePointer<TLSStream>?
    /// The HTTP/2 connection that this is, or that it is a stream of.
    var session: UnsafeMutablePointer<H2Session>?
    /// Id of the stream that this is; 0 of a connection.
    var stream: UInt32 = 0
    /// Made for the first request that plugins see.
    var tlsFacts: UnsafeMutablePointer<sluice_tls_facts>?
    /// Next in the list of dead ones, or of those to go on with.
    var nextDead: UnsafeMutablePointer<Downstream>?
    var nextQueued: UnsafeMutablePointer<Downstream>?
    /// Neighbours in the list of all open ones.
    var nextOpen: UnsafeMutablePointer<Downstream>?
    var previousOpen: UnsafeMutablePointer<Downstream>?
    /// The client's, which the PROXY header may have named.
    var ip: IPAddress
    /// Where the PROXY header says that the client connected to.
    var proxiedEnd: UnsafeMutablePointer<ProxyEndpoint>?
    /// The idle connection to a peer whose PROXY header named this client.
    var keptUpstream: UnsafeMutablePointer<Upstream>?

    init(fd: Int32, listener: Int, ip: IPAddress, port: UInt16) {
        self.fd = fd
        self.listener = UInt16(listener)
        self.ip = ip
        self.port = port
    }

    var isStream: Bool { stream != 0 }

    /// Whether there is no client any more, or was none.
    var isAbsent: Bool { flags.contains(.absent) }

    /// Whether its bytes go through a socket and nothing else.
    var isPlain: Bool { tls == nil && stream == 0 }

    /// Bytes of unread input.
    var inputCount: Int { Int(inputEnd &- inputStart) }
}

/// Where a peer's connection stands.
enum UpstreamState: UInt8 {
    case connecting
    /// Of TLS.
    case handshake
    /// Serves an exchange.
    case active
    /// In the pool.
    case idle
    /// HTTP/2: requests go as streams.
    case multiplexed
    /// No connection yet: another worker was asked for an idle one.
    case asked
}

/// A connection to a peer, or a stream of one.
struct Upstream {
    var timer = TimerNode(kind: TimerKind.upstream)
    /// -1 of a stream, and while there is none.
    var fd: Int32
    var flags: ConnectionFlags = []
    var state = UpstreamState.connecting
    /// Index among all peers.
    var peer: Int32
    var requests: UInt32 = 0
    /// When the head of a request without a body was sent, in nanoseconds of the worker's clock; 0
    /// of one with a body, whose response may wait for the client.
    ///
    /// Before: when the connect or the handshake began.
    var sentAt: UInt64 = 0
    /// When the attempt's response must be there, in milliseconds of the worker's clock; kept where
    /// the upstream has a `FailoverPlan`.
    var answersBy: UInt64 = 0
    /// Part of a response head; of a stream also content that waits.
    var input: Block?
    var inputCount = 0
    var scanner = HeadEndScanner()
    var exchange: UnsafeMutablePointer<Exchange>?
    /// Nil when the peer does not speak TLS.
    var tls: UnsafeMutablePointer<TLSStream>?
    /// The plugin's request that it serves in place of an exchange.
    var callout: UnsafeMutablePointer<Callout>?
    /// Neighbours in the pool, most recently used first; `next` also links dead ones.
    var next: UnsafeMutablePointer<Upstream>?
    var previous: UnsafeMutablePointer<Upstream>?
    /// The client that it is kept for while idle, outside of the pool.
    var keeper: UnsafeMutablePointer<Downstream>?
    /// The HTTP/2 connection that this is or becomes, or that it is a stream of; nil of a stream
    /// that the peer has ended.
    var session: UnsafeMutablePointer<H2Session>?
    /// Id of the stream that this is; 0 before its head was sent.
    var stream: UInt32 = 0
    var nextQueued: UnsafeMutablePointer<Upstream>?

    init(fd: Int32, peer: Int) {
        self.fd = fd
        self.peer = Int32(peer)
    }

    var isStream: Bool { flags.contains(.stream) }

    /// Whether its bytes go through a socket and nothing else.
    var isPlain: Bool { tls == nil && fd >= 0 }
}

/// Connections to one peer that can take a request.
struct PeerPool {
    /// Idle ones that speak HTTP/1.1.
    var first: UnsafeMutablePointer<Upstream>?
    var last: UnsafeMutablePointer<Upstream>?
    var count = 0
    /// Those that speak HTTP/2, linked by `next`, and those that may once they stand.
    var firstSession: UnsafeMutablePointer<Upstream>?
    /// How many of those stand and have no stream.
    var idleSessions = 0
    /// Streams that the peer last allowed on a connection: what a new one is taken to allow before
    /// it says so itself.
    var streamsMax = UInt32.max
    /// Until when the peer counts as one that speaks HTTP/1.1 alone, though both were offered.
    var speaksHTTP1Until: UInt64 = 0
    /// Connections that other workers were asked for and have not answered yet.
    var asked = 0
    /// No plan has the peer any more: no connection is kept for it.
    var isRetired = false
}
