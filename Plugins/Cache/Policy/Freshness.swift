/// How long a response is fresh, and how old it is when it arrives (RFC 9111 §4.2).
package struct Freshness: BitwiseCopyable {
    /// What says how long.
    package enum Source: UInt8, BitwiseCopyable, Sendable {
        /// Nothing: it must be validated each time.
        case none
        /// A directive, or `Expires`.
        case explicit
        /// The configuration, by the status.
        case configured
        /// The time since it was last modified (RFC 9111 §4.2.2).
        case heuristic
    }

    /// Seconds that it is fresh for, counted from when the origin made it; 0 or more.
    package var lifetime: Int64
    package var source: Source

    /// What is known of a response.
    package struct Input: BitwiseCopyable {
        package var status: Int
        /// Of the field that counts.
        package var directives: ResponseDirectives
        /// Whether they are of a targeted field: then `Expires` does not count (RFC 9213 §2.1).
        package var isTargeted = false
        package var expires = Expires.absent
        /// Seconds since 1970; nil without a valid date.
        package var date: Int64?
        package var lastModified: Int64?
        /// When it arrived.
        package var now: Int64
        /// Seconds that the configuration gives responses of this status; nil without.
        package var configured: Int64?

        package init(status: Int, directives: ResponseDirectives, now: Int64) {
            self.status = status
            self.directives = directives
            self.now = now
        }
    }

    /// What `Expires` says.
    package enum Expires: Equatable, BitwiseCopyable, Sendable {
        case absent
        /// No date, as "0": in the past (RFC 9111 §5.3).
        case invalid
        case at(Int64)

        /// The stricter one of two lines.
        package func stricter(_ other: Expires) -> Expires {
            switch (self, other) {
            case (.absent, _): other
            case (_, .absent): self
            case (.at(let left), .at(let right)): .at(min(left, right))
            default: .invalid
            }
        }
    }

    /// What part of a response's age without changes it is taken to stay so.
    package struct Heuristic: BitwiseCopyable, Sendable {
        /// 0 to 100; 0 turns it off.
        package var percent: Int64
        /// Seconds.
        package var most: Int64

        package init(percent: Int64, most: Int64) {
            self.percent = percent
            self.most = most
        }
    }

    package init(lifetime: Int64, source: Source) {
        self.lifetime = lifetime
        self.source = source
    }

    /// RFC 9111 §4.2.1.
    package init(_ input: Input, heuristic: Heuristic) {
        let directives = input.directives
        if directives.sharedMaxAge >= 0 {
            self.init(lifetime: directives.sharedMaxAge, source: .explicit)
        } else if directives.maxAge >= 0 {
            self.init(lifetime: directives.maxAge, source: .explicit)
        } else if !input.isTargeted, input.expires != .absent {
            guard case .at(let time) = input.expires else {
                self.init(lifetime: 0, source: .explicit)
                return
            }
            let (lifetime, isOver) = time.subtractingReportingOverflow(input.date ?? input.now)
            let most = ResponseDirectives.secondsMax
            self.init(lifetime: isOver ? 0 : min(max(lifetime, 0), most), source: .explicit)
        } else if let configured = input.configured {
            self.init(lifetime: configured, source: .configured)
        } else if let modified = input.lastModified, heuristic.percent > 0,
            Status.isHeuristicallyCacheable(input.status) || directives.flags.contains(.isPublic),
            (input.date ?? input.now) > modified
        {
            let age = (input.date ?? input.now) - modified
            let part = age / 100 * heuristic.percent + age % 100 * heuristic.percent / 100
            self.init(lifetime: min(part, heuristic.most), source: .heuristic)
        } else {
            self.init(lifetime: 0, source: .none)
        }
    }

    /// The age of a response when it arrives, in seconds (RFC 9111 §4.2.3).
    ///
    /// - Parameters:
    ///   - age: of its `Age`; 0 without.
    ///   - date: nil without a valid one.
    ///   - now: when it arrived, by the clock that `date` goes by.
    ///   - delay: seconds since the request was sent.
    package static func initialAge(
        age: Int64,
        date: Int64?,
        now: Int64,
        delay: Int64
    ) -> Int64 {
        let most = ResponseDirectives.secondsMax
        let apparent = date.map { max(now - $0, 0) } ?? 0
        return min(max(apparent, age + max(delay, 0)), most)
    }

    /// The seconds of a line of `Age`: of its first element (RFC 9111 §5.1); nil when it is none.
    package static func age(_ line: Text) -> Int64? {
        for element in ListElements(line) {
            return element.number(atMost: ResponseDirectives.secondsMax)
        }
        return nil
    }
}

/// What caches know of statuses.
package enum Status {
    /// Whether a response may be stored without a word on how long (RFC 9110 §15.1).
    package static func isHeuristicallyCacheable(_ status: Int) -> Bool {
        switch status {
        case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501: true
        default: false
        }
    }

    /// Whether the cache knows what a status asks of caches, as `must-understand` wants.
    package static func isUnderstood(_ status: Int) -> Bool {
        switch status {
        case 200, 203, 204, 300...303, 307, 308, 400...410, 412...417, 421, 422, 425, 426, 428,
            429, 431, 451, 500...505:
            true
        default: false
        }
    }
}
