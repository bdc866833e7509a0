import HTTP
import PluginHost
import Reactor
import Sys

/// The date that responses carry.
extension Worker {
    /// The current date as 29 bytes (RFC 9110 §5.6.7), written once a second.
    mutating func currentDate() -> Slice {
        // The wall clock runs at most a batch ahead of this; a second is all that is shown.
        let second = Int64(Clock.wallSeconds())
        if second != dateSecond {
            dateSecond = second
            _ = HeadWriter.writeDate(secondsSinceEpoch: second, to: dateText)
        }
        return Slice(dateText, 29)
    }
}
