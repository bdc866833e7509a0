import CSluice

/// Why the host did not do what it was asked to.
public struct ServiceError: Error, RawRepresentable, Equatable, Sendable {
    /// The result of the C function: below 0.
    public let rawValue: Int32

    /// Takes the number as it is.
    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

    /// An argument is out of its range.
    @inlinable public static var invalid: ServiceError { ServiceError(rawValue: -1) }
    /// A limit on memory, or on how many there may be, is reached.
    @inlinable public static var outOfMemory: ServiceError { ServiceError(rawValue: -2) }
    /// The thing is gone.
    @inlinable public static var stale: ServiceError { ServiceError(rawValue: -3) }
    /// The host, the phase or the thread does not offer this.
    @inlinable public static var unsupported: ServiceError { ServiceError(rawValue: -4) }
    /// Not now; again later.
    @inlinable public static var again: ServiceError { ServiceError(rawValue: -5) }

    /// What the error is, for a log.
    public var text: StaticString {
        switch self {
        case .invalid: "an argument is out of its range"
        case .outOfMemory: "a limit is reached"
        case .stale: "it is gone"
        case .unsupported: "not offered here"
        case .again: "not now"
        default: "failed"
        }
    }

    /// Throws what a result says.
    @inlinable
    static func check(_ result: Int32) throws(ServiceError) {
        if result != 0 { throw ServiceError(rawValue: result) }
    }
}
