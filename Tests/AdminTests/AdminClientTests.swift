import Sys
import Testing

@testable import Admin

struct AdminClientTests {
    private func problem(_ body: () throws(AdminProblem) -> Void) -> String {
        do throws(AdminProblem) {
            try body()
            return ""
        } catch {
            return error.description
        }
    }

    private let request = AdminRequest("GET", "/v1/status")

    /// What a client makes of bytes that somebody answers with.
    private func answer(_ text: String) throws -> String {
        let listening = try AdminServer.bind(try #require(SocketAddress("127.0.0.1:0")))
        let address = try Socket.localAddress(listening.number).text
        let token = try AdminToken(Array("0123456789abcdef".utf8))
        let number = listening.number
        let thread = PinnedThread.start(name: "origin") {
            var peer = SocketAddress()
            var accepted = Socket.accept(number, from: &peer)
            while accepted == Syscall.wouldBlock {
                Process.yield()
                accepted = Socket.accept(number, from: &peer)
            }
            let descriptor = FileDescriptor(owning: Int32(accepted))
            if !text.isEmpty { _ = try? Socket.send(descriptor.number, Array(text.utf8), from: 0) }
            Syscall.shutdownWrite(descriptor.number)
            // Until the client has closed.
            while (try? Socket.receive(descriptor.number, bytesMax: 4_096)) != [] {
                Process.yield()
            }
        }
        defer { thread.join() }
        let client = try AdminClient(address, token: token)
        var status = 0
        let text = problem { () throws(AdminProblem) in
            status = try client.send(request, seconds: 10).status
        }
        return text.isEmpty ? "\(status)" : text.replacing(address, with: "ADDRESS")
    }

    private func http(_ body: String, type: String = "application/json") -> String {
        "HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            + body
    }

    @Test func `an address has a form`() throws {
        let token = try AdminToken(Array("0123456789abcdef".utf8))
        for bad in [
            "", "x", "/run/a.sock", "unix:", "127.0.0.1", ":80", "127.0.0.1:x", "1.2.3.4:70000",
        ] {
            let text = problem { () throws(AdminProblem) in
                _ = try AdminClient(bad, token: token)
            }
            #expect(text == bad + ": not an address such as unix:/path or 127.0.0.1:9000")
        }
        #expect(
            problem { () throws(AdminProblem) in _ = try AdminClient("127.0.0.1:1") }
                == "127.0.0.1:1: over TCP a token is needed"
        )
        #expect(problem { () throws(AdminProblem) in _ = try AdminClient("unix:/a") } == "")
        _ = try AdminClient("localhost:1", token: token)
    }

    @Test func `where nobody listens is said`() throws {
        let nobody = try AdminClient("unix:/tmp/sluice-no-such.sock")
        #expect(
            problem { () throws(AdminProblem) in _ = try nobody.send(request, seconds: 10) }
                == "unix:/tmp/sluice-no-such.sock: nobody listens there: No such file or directory"
        )
        let listening = try AdminServer.bind(try #require(SocketAddress("127.0.0.1:0")))
        let address = try Socket.localAddress(listening.number).text
        Syscall.close(listening.release())
        let token = try AdminToken(Array("0123456789abcdef".utf8))
        let closed = try AdminClient(address, token: token)
        #expect(
            problem { () throws(AdminProblem) in _ = try closed.send(request, seconds: 10) }
                == address + ": nobody listens there: Connection refused"
        )
    }

    @Test func `no answer is an error after the time`() throws {
        let listening = try AdminServer.bind(try #require(SocketAddress("127.0.0.1:0")))
        let address = try Socket.localAddress(listening.number).text
        let token = try AdminToken(Array("0123456789abcdef".utf8))
        let client = try AdminClient(address, token: token)
        #expect(
            problem { () throws(AdminProblem) in _ = try client.send(request, seconds: 1) }
                == address + ": no answer within 1 s"
        )
    }

    @Test func `an answer is read whole`() throws {
        #expect(try answer(http("{}")) == "200")
        #expect(try answer("HTTP/1.1 100 Continue\r\n\r\n" + http("{}")) == "200")
        #expect(
            try answer("HTTP/1.1 409 No\r\nContent-Type: application/json\r\n\r\n{}") == "409"
        )
    }

    @Test func `what is no answer of an admin interface is an error`() throws {
        let none = "ADDRESS: not the answer of an admin interface: "
        #expect(try answer("SSH-2.0-OpenSSH\r\n") == none + "badStatusLine")
        #expect(try answer("") == "ADDRESS: the connection ended before the answer did")
        let cut = String(http("{\"a\":1}").dropLast())
        #expect(try answer(cut) == "ADDRESS: the connection ended before the answer did")
        #expect(
            try answer(http("{", type: "text/html"))
                == "ADDRESS: status 200, and not an answer in JSON"
        )
        #expect(
            try answer(http("{")) == "ADDRESS: the answer is not JSON: line 1, column 2: "
                + "expected a name in quotes, found the end of the text"
        )
        let long = "HTTP/1.1 200 OK\r\nContent-Length: 16777217\r\n\r\n"
        #expect(try answer(long) == none + "a body of more than 16777216 bytes")
    }
}
