import CSluice
import HTTP
import PluginHost

/// What plugins read of the answers to their own requests.
extension Worker {
    /// The fields of a callout's response; nil when they do not fit.
    mutating func calloutView(
        _ callout: UnsafeMutablePointer<Callout>,
        _ arena: inout Arena
    ) -> UnsafePointer<sluice_headers>? {
        var head = ResponseHead()
        let method = callout.pointee.request._withUnsafeGuaranteedRef { $0.method }
        let outcome = HeadParser.parseResponse(
            callout.pointee.head.first,
            count: callout.pointee.head.count,
            limits: responseLimits,
            fields: responseFields,
            requestMethod: method,
            into: &head
        )
        guard outcome == .complete else { return nil }
        var message = Message(
            isRequest: false,
            head: callout.pointee.head.first,
            fields: responseFields
        )
        message.fieldCount = Int(head.fieldCount)
        message.fieldsEnd = Int(head.fieldsEnd)
        message.status = head.status
        return calls.makeView(of: &message, &arena)
    }
}
