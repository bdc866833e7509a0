internal import HTTP
internal import Sys

/// Asks an admin interface, a request a connection; blocks.
package struct AdminClient: Sendable {
    /// Bytes of an answer's body.
    package static let answerBytesMax = 16_777_216
    /// Bytes of an answer's head.
    private static let headBytesMax = 8_192
    /// Bytes that are read at a time.
    private static let pieceBytes = 65_536

    private let address: SocketAddress
    private let name: String
    private let token: AdminToken?

    /// - Parameters:
    ///   - address: "unix:/path", or "host:port" where a host may have a name.
    ///   - token: what a TCP interface wants to be shown.
    /// - Throws: when this is no address, or one that takes no token or needs one.
    package init(_ address: String, token: AdminToken? = nil) throws(AdminProblem) {
        guard let found = Self.resolve(address) else {
            throw AdminProblem("\(address): not an address such as unix:/path or 127.0.0.1:9000")
        }
        guard token != nil || found.isUnix else {
            throw AdminProblem("\(address): over TCP a token is needed")
        }
        self.address = found
        // A Unix socket asks the kernel who we are.
        self.token = found.isUnix ? nil : token
        name = address
    }

    private static func resolve(_ text: String) -> SocketAddress? {
        if let address = SocketAddress(text) { return address }
        guard !text.hasPrefix("unix:"), let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...]), colon > text.startIndex
        else { return nil }
        return SocketAddress.resolve(name: String(text[..<colon]), port: port).first
    }

    /// Sends a request and waits for its answer.
    ///
    /// - Parameters:
    ///   - request: its path has visible ASCII characters only.
    ///   - seconds: how long all of it may take.
    /// - Throws: when there is no answer, or not one of an admin interface.
    package func send(
        _ request: AdminRequest,
        seconds: Int
    ) throws(AdminProblem) -> AdminResponse {
        let outcome: WholeOutcome
        let response: WholeResponse
        do throws(Errno) {
            let deadline = Clock.kernelNanoseconds() + UInt64(seconds) * 1_000_000_000
            (outcome, response) = try exchange(request, until: deadline)
        } catch {
            throw problem(error, seconds: seconds)
        }
        return try answer(outcome, response)
    }

    // MARK: Bytes

    private func exchange(
        _ request: AdminRequest,
        until deadline: UInt64
    ) throws(Errno) -> (WholeOutcome, WholeResponse) {
        let poller = try Epoll()
        let begun = try Socket.connect(address)
        let descriptor = FileDescriptor(owning: begun.descriptor)
        try poller.add(connection: descriptor.number, token: 0)
        if !begun.established {
            try wait(poller, until: deadline)
            let error = Syscall.socketError(descriptor.number)
            if error != 0 { throw Errno(Int32(clamping: error)) }
        }
        let bytes = bytes(of: request)
        var sent = 0
        while sent < bytes.count {
            do throws(Errno) {
                sent += try Socket.send(descriptor.number, bytes, from: sent)
            } catch {
                guard error == .wouldBlock else {
                    // It may have answered before it had all.
                    guard error == .brokenPipe || error == .connectionReset else { throw error }
                    break
                }
                try wait(poller, until: deadline)
            }
        }
        var limits = WholeLimits(bodyBytesMax: Self.answerBytesMax)
        limits.head.headBytesMax = Self.headBytesMax
        var response = WholeResponse(to: request.method == "GET" ? .get : .post, limits: limits)
        while true {
            do throws(Errno) {
                let piece = try Socket.receive(descriptor.number, bytesMax: Self.pieceBytes)
                let outcome = piece.isEmpty ? response.end() : response.receive(piece)
                let isOver = piece.isEmpty || outcome == .complete
                if isOver { return (outcome, response) }
                if case .invalid = outcome { return (outcome, response) }
            } catch {
                guard error == .wouldBlock else { throw error }
                try wait(poller, until: deadline)
            }
        }
    }

    /// Waits for an event of the only connection.
    private func wait(_ poller: borrowing Epoll, until deadline: UInt64) throws(Errno) {
        let now = Clock.kernelNanoseconds()
        guard now < deadline else { throw .timedOut }
        let milliseconds = Int32(clamping: (deadline - now) / 1_000_000 + 1)
        guard poller.wait(milliseconds: milliseconds) > 0 else { throw .timedOut }
    }

    private func bytes(of request: AdminRequest) -> [UInt8] {
        let isGraphic = request.path.utf8.allSatisfy { 0x21...0x7e ~= $0 }
        precondition(isGraphic && request.path.hasPrefix("/"), "the path \(request.path)")
        let body = request.body == .null ? "" : request.body.text
        var head = "\(request.method) \(request.path) HTTP/1.1\r\n"
        head += "Host: \(address.isUnix ? "localhost" : address.text)\r\n"
        if let token { head += "Authorization: \(token.credentials)\r\n" }
        if request.method == "POST" { head += "Content-Length: \(body.utf8.count)\r\n" }
        if !body.isEmpty { head += "Content-Type: \(AdminWire.json)\r\n" }
        return Array((head + "Connection: close\r\n\r\n" + body).utf8)
    }

    // MARK: Answers

    private func answer(
        _ outcome: WholeOutcome,
        _ response: WholeResponse
    ) throws(AdminProblem) -> AdminResponse {
        switch outcome {
        case .complete: break
        case .invalid(let error):
            throw AdminProblem("\(name): not the answer of an admin interface: \(error.reason)")
        case .incompleteHead, .incompleteBody:
            throw AdminProblem("\(name): the connection ended before the answer did")
        }
        let types = response.values(of: .contentType)
        let status = Int(response.status)
        if types == [AdminWire.text] {
            return AdminResponse(status, .string(String(decoding: response.body, as: UTF8.self)))
        }
        guard types.count == 1, AdminWire.isJSON(types[0]) else {
            throw AdminProblem("\(name): status \(status), and not an answer in JSON")
        }
        do throws(JSON.SyntaxError) {
            let body = try JSON.parse(response.body, bytesMax: Self.answerBytesMax)
            return AdminResponse(status, body)
        } catch {
            throw AdminProblem("\(name): the answer is not JSON: \(error.description)")
        }
    }

    private func problem(_ error: Errno, seconds: Int) -> AdminProblem {
        let nobody = error == .connectionRefused || error == .noSuchFile
        if nobody {
            return AdminProblem("\(name): nobody listens there: \(error.description)")
        }
        if error == .timedOut { return AdminProblem("\(name): no answer within \(seconds) s") }
        return AdminProblem("\(name): \(error.description)")
    }
}
