import SluiceSDK

/// What a question asks for (RFC 1035 §3.2.2, RFC 3596 §2.1, RFC 2782).
enum RecordType {
    static let a: UInt16 = 1
    static let cname: UInt16 = 5
    static let soa: UInt16 = 6
    static let aaaa: UInt16 = 28
    static let srv: UInt16 = 33
    /// EDNS (RFC 6891 §6.1.1).
    static let opt: UInt16 = 41
}

/// Codes of an answer (RFC 1035 §4.1.1, RFC 6895 §2.3).
enum ResponseCode {
    static let success = 0
    static let formatError = 1
    static let serverFailure = 2
    static let noSuchName = 3
    static let notImplemented = 4
    static let refused = 5

    /// What a code is, for a log.
    static func text(_ code: Int) -> String {
        switch code {
        case success: "NOERROR"
        case formatError: "FORMERR"
        case serverFailure: "SERVFAIL"
        case noSuchName: "NXDOMAIN"
        case notImplemented: "NOTIMP"
        case refused: "REFUSED"
        default: "code \(code)"
        }
    }
}

/// One question of class IN.
struct DNSQuestion: Equatable {
    let name: DomainName
    let type: UInt16

    /// "A of app.example".
    var text: String {
        let type =
            switch type {
            case RecordType.a: "A"
            case RecordType.aaaa: "AAAA"
            case RecordType.srv: "SRV"
            default: "type \(type)"
            }
        return type + " of " + name.text
    }
}

/// Where a service runs (RFC 2782).
struct ServiceRecord: Equatable {
    /// Lower ones first.
    let priority: UInt16
    /// Share among those of one priority; 0 is the least.
    let weight: UInt16
    let port: UInt16
    /// The root when the service is decidedly not there.
    let target: DomainName
}

/// A record of an answer.
struct DNSRecord: Equatable {
    /// What a record says, as far as it is of use here.
    enum Content: Equatable {
        case address(IPAddress)
        case alias(DomainName)
        case service(ServiceRecord)
        /// Of a zone: for how many seconds it may be kept that there is no such record (RFC 2308).
        case zone(minimum: UInt32)
    }

    let name: DomainName
    let type: UInt16
    /// Seconds that it may be kept.
    let timeToLive: UInt32
    let content: Content
}
