import CSluice
import PluginHost
import Reactor
import Sys

/// Writing to an exchange's two sides: through a socket, or into the frames of a stream.
extension Worker {
    /// Writes to the client; as `emit`.
    mutating func writeDown(
        _ exchange: UnsafeMutablePointer<Exchange>,
        headCount: Int,
        data: UnsafePointer<UInt8>,
        count: Int,
        isEnd: Bool,
        sent: inout Int
    ) -> WriteResult {
        let down = exchange.pointee.down
        guard let session = down.pointee.session else {
            // There is no client.
            guard down.pointee.fd >= 0 else {
                exchange.pointee.context.facts.bytes_out &-= UInt64(count)
                return .done
            }
            return emit(
                &exchange.pointee.responseBody,
                to: down.wire,
                headCount: headCount,
                data: data,
                count: count,
                isEnd: isEnd,
                sent: &sent
            )
        }
        return emitToStream(
            &exchange.pointee.responseBody,
            session,
            down.pointee.stream,
            headCount: headCount,
            data: data,
            count: count,
            isEnd: isEnd,
            sent: &sent
        )
    }

    /// Writes what is held for the client; as `flush`.
    mutating func flushDown(
        _ exchange: UnsafeMutablePointer<Exchange>,
        sent: inout Int
    ) -> WriteResult {
        let down = exchange.pointee.down
        guard let session = down.pointee.session else {
            return flush(&exchange.pointee.responseBody, to: down.wire, sent: &sent)
        }
        return flushToStream(
            &exchange.pointee.responseBody,
            session,
            down.pointee.stream,
            sent: &sent
        )
    }

    /// Writes to the peer; as `emit`.
    ///
    /// - Parameter headCount: 0 for a stream, which began with its head.
    mutating func writeUp(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        headCount: Int,
        data: UnsafePointer<UInt8>,
        count: Int,
        isEnd: Bool,
        sent: inout Int
    ) -> WriteResult {
        guard up.pointee.isStream else {
            return emit(
                &exchange.pointee.requestBody,
                to: up.wire,
                headCount: headCount,
                data: data,
                count: count,
                isEnd: isEnd,
                sent: &sent
            )
        }
        guard let session = up.pointee.session else { return .failed }
        return emitToStream(
            &exchange.pointee.requestBody,
            session,
            up.pointee.stream,
            headCount: 0,
            data: data,
            count: count,
            isEnd: isEnd,
            sent: &sent
        )
    }

    /// Writes what is held for the peer; as `flush`.
    mutating func flushUp(
        _ exchange: UnsafeMutablePointer<Exchange>,
        _ up: UnsafeMutablePointer<Upstream>,
        sent: inout Int
    ) -> WriteResult {
        guard up.pointee.isStream else {
            return flush(&exchange.pointee.requestBody, to: up.wire, sent: &sent)
        }
        guard let session = up.pointee.session else { return .failed }
        return flushToStream(
            &exchange.pointee.requestBody,
            session,
            up.pointee.stream,
            sent: &sent
        )
    }
}
