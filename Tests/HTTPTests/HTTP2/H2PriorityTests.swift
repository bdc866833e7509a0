import HTTP
import Testing

/// The Priority field (RFC 9218 §4, RFC 9651 §3.2).
struct H2PriorityTests {
    @Test(arguments: [
        ("", 3, false), ("  u=1 ", 1, false), ("u=0", 0, false), ("u=7", 7, false), ("i", 3, true),
        ("u=5, i", 5, true),
        ("i,u=2", 2, true), ("u=1 ,\t i=?1", 1, true), ("i=?1, i=?0", 3, false),
        ("u=1, u=6", 6, false), ("u=2;x=1, i;y", 2, true), ("a=\"u=1,i\", u=4", 4, false),
        ("a=\"\\\",i\", u=4", 4, false), ("a=(1 2), u=4", 4, false), ("a=:YQ==:;b, u=4", 4, false),
        ("uu=1, ui, u=4", 4, false), ("*=1, a-b.c_d*9=2, i", 3, true), ("u=2; x=1, i", 2, true),
        // Values of another kind or range are passed over, and the others count.
        ("u=8, i", 3, true), ("u=-1, i", 3, true), ("u=1.0, i", 3, true), ("u=a, i", 3, true),
        ("u, i", 3, true), ("u=10, i", 3, true), ("i=1, u=2", 2, false), ("i=?2, u=2", 2, false),
        // No dictionary at all: nothing counts.
        ("u=1,", 3, false), ("u=1,,i", 3, false), (",u=1", 3, false), ("u=1 i", 3, false),
        ("U=1", 3, false), ("u=1, 2", 3, false), ("u=1, a=\"b", 3, false), ("u=1, a=(b", 3, false),
        ("u=", 3, false), ("u=1, i=", 3, false), ("u =1", 3, false), ("u=1, a=\"\\", 3, false),
    ])
    func `values`(value: String, urgency: UInt8, isIncremental: Bool) {
        var priority = H2Priority()
        let bytes = latin1(value)
        withExactCopy(bytes) { priority.update($0, count: bytes.count) }
        #expect(priority.urgency == urgency)
        #expect(priority.isIncremental == isIncremental)
    }

    @Test
    func `a second field adds to the first`() {
        var priority = H2Priority()
        for value in ["u=1", "i", "u=?1"] {
            let bytes = latin1(value)
            withExactCopy(bytes) { priority.update($0, count: bytes.count) }
        }
        #expect(priority.urgency == 1)
        #expect(priority.isIncremental)
    }
}
