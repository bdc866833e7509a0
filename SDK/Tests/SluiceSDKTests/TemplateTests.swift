import SluiceSDK
import SluiceTestKit
import Testing

/// Sets the field x to the value of the template in its configuration.
private struct Templater: RequestHeadersHook {
    static let id: StaticString = "org.sluice.test.templater"
    static let version: StaticString = "1.0.0"
    static let summary: StaticString = "Sets a field."

    let template: Template

    init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
        let text = try configuration.required("text")
        template = try text.naming { () throws(PluginError) in
            try Template(
                text.string(),
                allowing: [
                    .clientIP, .host, .authority, .scheme, .path, .query, .requestID, .route,
                    .upstream, .peer, .tlsVersion, .tlsCipher, .tlsServerName, .clientSubject,
                    .clientFingerprint,
                ],
                in: host.memory
            )
        }
    }

    func requestHeaders(_ exchange: borrowing Exchange<Templater>) -> Verdict {
        let name = try? FieldName(named: "x")
        guard let name else { return .error }
        exchange.edits.set(name, template.value(exchange, requestID: "id7"))
        return .next
    }

    static func offer(_ offer: inout Offer) {
        offer.create = { Export<Templater>.create($0, $1, $2) }
        offer.requestHeaders = { Export<Templater>.requestHeaders($0, $1, $2, $3, $4) }
    }
}

struct TemplateTests {
    private func value(_ text: String, _ request: RequestFixture) throws -> String? {
        let plugin = try PluginFixture(Templater.self, ["text": .string(text)])
        #expect(plugin.requestHeaders(request) == .next)
        return request.request["x"]
    }

    @Test(arguments: [
        ("", ""), ("plain", "plain"), ("{{", "{"), ("a{{b}c", "a{b}c"), ("{{{path}", "{/a/b"),
        ("{client_ip}", "192.0.2.1"), ("[{client_ip}]", "[192.0.2.1]"),
        ("{scheme}://{host}{path}{query}", "https://www.example.com/a/b?c=d"),
        ("{authority}", "www.example.com:8443"), ("{request_id}!", "id7!"),
        ("{route}/{upstream}/{peer}", "r/u/192.0.2.9:80"), ("{path}{{path}", "/a/b{path}"),
    ])
    func `stands for the request`(text: String, result: String) throws {
        let request = RequestFixture(
            "GET",
            "/a/b?c=d",
            authority: "www.example.com:8443",
            secure: true
        )
        request.setFacts(route: "r", upstream: "u", peer: "192.0.2.9:80")
        #expect(try value(text, request) == result)
    }

    @Test
    func `leaves out what is absent`() throws {
        let request = RequestFixture("GET", "/a", authority: "[2001:db8::1]:8080")
        #expect(try value("{host}|{query}|{route}", request) == "[2001:db8::1]||")
        #expect(try value("{query}{route}", request) == "")
    }

    private let tls =
        "{tls_version}|{tls_cipher}|{tls_server_name}|{client_subject}|{client_fingerprint}"

    @Test
    func `stands for the client's TLS`() throws {
        let request = RequestFixture(secure: true)
        request.setTLS(
            cipher: "TLS_AES_256_GCM_SHA384",
            serverName: "a.example",
            clientSubject: "CN=client,O=A B",
            clientFingerprint: "0a1b"
        )
        let all = "TLSv1.3|TLS_AES_256_GCM_SHA384|a.example|CN=client,O=A B|0a1b"
        #expect(try value(tls, request) == all)
        #expect(try value("{client_subject}", request) == "CN=client,O=A B")
    }

    @Test
    func `has no TLS where there is none, and no client without a certificate`() throws {
        #expect(try value(tls, RequestFixture()) == "||||")
        let request = RequestFixture(secure: true)
        request.setTLS(version: 0x0303, cipher: "ECDHE")
        #expect(try value(tls, request) == "TLSv1.2|ECDHE|||")
        request.setTLS(version: 0x0305, cipher: "")
        #expect(try value(tls, request) == "||||")
    }

    @Test(arguments: ["a\r\nx: y", "a\u{0}", "\t", "\u{7F}", "n\u{E4}me"])
    func `leaves out what a client wrote in bytes that are no ASCII text`(text: String) throws {
        let request = RequestFixture(secure: true)
        request.setTLS(serverName: text, clientSubject: text, clientFingerprint: "0a")
        #expect(
            try value("{tls_server_name}<{client_subject}>{client_fingerprint}", request) == "<>0a"
        )
        #expect(try value("{tls_server_name}", request) == "")
    }

    @Test
    func `a subject may have spaces, a host may not`() throws {
        let request = RequestFixture(secure: true)
        request.setTLS(serverName: "a b", clientSubject: "CN=a b~")
        #expect(try value("{tls_server_name}<{client_subject}>", request) == "<CN=a b~>")
    }

    @Test
    func `refuses unknown and open placeholders`() {
        #expect(
            PluginFixture.refusal(Templater.self, ["text": "{nope}"])?
                .hasPrefix("text: unknown placeholder {nope}; there are {client_ip}, {host}")
                == true
        )
        #expect(
            PluginFixture.refusal(Templater.self, ["text": "a{host"])
                == "text: \"{\" is not closed; write \"{{\" for a brace"
        )
        #expect(PluginFixture.refusal(Templater.self, [:]) == "text: is missing")
    }

    @Test
    func `fails when the request's memory is used up`() throws {
        let plugin = try PluginFixture(Templater.self, ["text": "{path}{query}"])
        let request = RequestFixture("GET", "/12345678?9")
        request.memoryBudget = 22
        #expect(plugin.requestHeaders(request) == .next)
        #expect(plugin.requestHeaders(request) == .error)
        #expect(request.errorCode == FailureCode.outOfMemory.rawValue)
    }

    @Test
    func `fails when there is no room for an edit`() throws {
        let plugin = try PluginFixture(Templater.self, ["text": "a"])
        let request = RequestFixture()
        request.editCapacity = 0
        #expect(plugin.requestHeaders(request) == .error)
        #expect(request.errorCode == FailureCode.editsFull.rawValue)
    }
}
