import HTTP
import Testing

/// Messages in `Vectors/hostile.jsonl`, which the end-to-end tests send too.
struct HostileVectorsTests {
    @Test(arguments: HostileVector.all)
    func `each message is taken or refused as its line says`(vector: HostileVector) {
        let found =
            switch vector.direction {
            case "request": requestVerdict(vector.raw)
            case "response": responseVerdict(vector.raw)
            default: "no such direction"
            }
        #expect(found == vector.expect, "\(vector.id): \(vector.why)")
    }

    @Test
    func `there are many of them, each with its own id`() {
        #expect(HostileVector.all.count >= 160)
        #expect(Set(HostileVector.all.map { $0.id }).count == HostileVector.all.count)
    }

    private func requestVerdict(_ raw: [UInt8]) -> String {
        let parsed = request(raw)
        switch parsed.outcome {
        case .incomplete: return "incomplete"
        case .invalid(let error): return String(error.status)
        case .complete: break
        }
        let rest = Array(raw[Int(parsed.head.byteCount)...])
        return bodyVerdict(rest, parsed.head.framing)
    }

    private func responseVerdict(_ raw: [UInt8]) -> String {
        let parsed = response(raw)
        switch parsed.outcome {
        case .incomplete: return "incomplete"
        case .invalid: return "502"
        case .complete: break
        }
        let rest = Array(raw[Int(parsed.head.byteCount)...])
        let verdict = bodyVerdict(rest, parsed.head.framing)
        return verdict == "ok" || verdict == "incomplete" ? verdict : "502"
    }

    private func bodyVerdict(_ body: [UInt8], _ framing: BodyFraming) -> String {
        switch framing {
        case .none, .untilClose: return "ok"
        case .length(let length): return body.count >= length ? "ok" : "incomplete"
        case .chunked: break
        }
        let decoded = decode(body)
        switch decoded.outcome {
        case .more: return "incomplete"
        case .done: return "ok"
        case .invalid: return "400"
        case .trailers: break
        }
        switch trailers(Array(body[decoded.consumed...])).outcome {
        case .complete: return "ok"
        case .incomplete: return "incomplete"
        case .invalid(let error): return String(error.status)
        }
    }
}
