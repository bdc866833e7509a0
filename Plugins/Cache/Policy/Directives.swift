/// What `Cache-Control` of a response says (RFC 9111 §5.2.2, RFC 5861, RFC 8246).
///
/// Lines are added one after the other. Where a directive comes twice the stricter one counts, and
/// a number that is none is 0 (RFC 9111 §4.2.1): what is not understood is not served for longer.
package struct ResponseDirectives: BitwiseCopyable {
    /// Directives that are there or not.
    package struct Flags: OptionSet, BitwiseCopyable, Sendable {
        package let rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }

        package static var noStore: Flags { Flags(rawValue: 1) }
        package static var noCache: Flags { Flags(rawValue: 2) }
        /// `no-cache` with names of fields, which are not stored.
        package static var noCacheFields: Flags { Flags(rawValue: 4) }
        package static var isPrivate: Flags { Flags(rawValue: 8) }
        /// `private` with names of fields, which are not stored.
        package static var privateFields: Flags { Flags(rawValue: 16) }
        package static var isPublic: Flags { Flags(rawValue: 32) }
        package static var mustRevalidate: Flags { Flags(rawValue: 64) }
        package static var proxyRevalidate: Flags { Flags(rawValue: 128) }
        package static var mustUnderstand: Flags { Flags(rawValue: 256) }
        package static var immutable: Flags { Flags(rawValue: 512) }
    }

    package var flags: Flags = []
    /// Seconds; -1 without the directive.
    package var maxAge: Int64 = -1
    /// Likewise.
    package var sharedMaxAge: Int64 = -1
    /// Seconds of `stale-while-revalidate`; -1 without.
    package var staleWhileRevalidate: Int64 = -1
    /// Seconds of `stale-if-error`; -1 without.
    package var staleIfError: Int64 = -1

    package init() {}

    /// What a number is at most: seconds of 68 years (RFC 9111 §1.2.2).
    package static let secondsMax: Int64 = 2_147_483_648

    /// Adds a line of `Cache-Control`, or of `Surrogate-Control`, which has the same form.
    package mutating func add(_ line: Text) {
        for element in ListElements(line) {
            let directive = Directive(element)
            let name = directive.name
            switch name.count {
            case 6: if name.equalsIgnoringCase("public") { flags.insert(.isPublic) }
            case 7:
                if name.equalsIgnoringCase("private") {
                    flags.insert(directive.namesFields ? .privateFields : .isPrivate)
                } else if name.equalsIgnoringCase("max-age") {
                    maxAge = directive.stricter(maxAge)
                }
            case 8:
                if name.equalsIgnoringCase("no-store") {
                    flags.insert(.noStore)
                } else if name.equalsIgnoringCase("no-cache") {
                    flags.insert(directive.namesFields ? .noCacheFields : .noCache)
                } else if name.equalsIgnoringCase("s-maxage") {
                    sharedMaxAge = directive.stricter(sharedMaxAge)
                }
            case 9: if name.equalsIgnoringCase("immutable") { flags.insert(.immutable) }
            default: addLong(directive)
            }
        }
    }

    private mutating func addLong(_ directive: Directive) {
        let name = directive.name
        if name.equalsIgnoringCase("must-revalidate") {
            flags.insert(.mustRevalidate)
        } else if name.equalsIgnoringCase("must-understand") {
            flags.insert(.mustUnderstand)
        } else if name.equalsIgnoringCase("proxy-revalidate") {
            flags.insert(.proxyRevalidate)
        } else if name.equalsIgnoringCase("stale-if-error") {
            staleIfError = directive.stricter(staleIfError)
        } else if name.equalsIgnoringCase("stale-while-revalidate") {
            staleWhileRevalidate = directive.stricter(staleWhileRevalidate)
        }
    }

    /// Whether a line of `Cache-Control` names this field in `no-cache` or `private`, so that it is
    /// not stored (RFC 9111 §5.2.2.4, §5.2.2.7).
    package static func excludes(_ field: Text, in line: Text) -> Bool {
        for element in ListElements(line) {
            let directive = Directive(element)
            guard directive.namesFields,
                directive.name.equalsIgnoringCase("no-cache")
                    || directive.name.equalsIgnoringCase("private")
            else { continue }
            for name in ListElements(directive.unquoted) where name.equalsIgnoringCase(field) {
                return true
            }
        }
        return false
    }
}

/// What `Cache-Control` of a request says (RFC 9111 §5.2.1).
package struct RequestDirectives: BitwiseCopyable {
    package var noCache = false
    package var noStore = false
    package var onlyIfCached = false
    /// Seconds; -1 without the directive.
    package var maxAge: Int64 = -1
    /// Likewise.
    package var minFresh: Int64 = -1
    /// Seconds; -1 without the directive, `secondsMax` without a number: any staleness.
    package var maxStale: Int64 = -1
    /// Seconds (RFC 5861 §4); -1 without the directive.
    package var staleIfError: Int64 = -1

    package init() {}

    package mutating func add(_ line: Text) {
        for element in ListElements(line) {
            let directive = Directive(element)
            let name = directive.name
            if name.equalsIgnoringCase("no-cache") {
                noCache = true
            } else if name.equalsIgnoringCase("no-store") {
                noStore = true
            } else if name.equalsIgnoringCase("only-if-cached") {
                onlyIfCached = true
            } else if name.equalsIgnoringCase("max-age") {
                maxAge = directive.stricter(maxAge)
            } else if name.equalsIgnoringCase("min-fresh") {
                // More is stricter here. What is no number asks for nothing that can be met.
                minFresh = max(minFresh, directive.seconds ?? ResponseDirectives.secondsMax)
            } else if name.equalsIgnoringCase("stale-if-error") {
                staleIfError = directive.stricter(staleIfError)
            } else if name.equalsIgnoringCase("max-stale") {
                let limit =
                    directive.value == nil
                    ? ResponseDirectives.secondsMax : directive.seconds ?? 0
                maxStale = maxStale < 0 ? limit : min(maxStale, limit)
            }
        }
    }

    /// Adds a line of `Pragma`, which counts when there is no `Cache-Control` (RFC 9111 §5.4).
    package mutating func addPragma(_ line: Text) {
        for element in ListElements(line) where element.equalsIgnoringCase("no-cache") {
            noCache = true
        }
    }
}

/// One element of `Cache-Control`: a name, and a value if there is one.
struct Directive {
    let name: Text
    /// As it stands there; nil without "=".
    let value: Text?

    init(_ element: Text) {
        if let equals = element.firstIndex(of: 0x3D) {
            name = element[0..<equals]
            value = element.dropFirst(equals + 1)
        } else {
            name = element
            value = nil
        }
    }

    /// The value without quotation marks.
    ///
    /// Escapes stay: neither a number nor a token has any.
    var unquoted: Text {
        guard let value else { return .empty }
        guard value.count >= 2, value[0] == 0x22, value[value.count - 1] == 0x22 else {
            return value
        }
        return value[1..<value.count - 1]
    }

    /// Seconds; nil when they are no number.
    var seconds: Int64? { unquoted.number(atMost: ResponseDirectives.secondsMax) }

    /// The smaller one of a number before, which is -1 when there was none, and this.
    func stricter(_ before: Int64) -> Int64 {
        let seconds = seconds ?? 0
        return before < 0 ? seconds : min(before, seconds)
    }

    /// Whether the value is a list with a name in it, and ends.
    var namesFields: Bool {
        if let value, let first = value.count > 0 ? value[0] : nil, first == 0x22,
            value.count < 2 || value[value.count - 1] != 0x22
        {
            return false
        }
        for _ in ListElements(unquoted) { return true }
        return false
    }
}
