import Testing

@testable import TLS

struct TLSSettingsTests {
    @Test func `versions are ordered`() {
        #expect(TLSVersion.v1_2 < TLSVersion.v1_3)
        #expect(!(TLSVersion.v1_3 < TLSVersion.v1_2))
        #expect(!(TLSVersion.v1_2 < TLSVersion.v1_2))
    }

    @Test func `protocols are written as ALPN has them`() {
        #expect(TLSProtocol.h2.wireBytes == [2, 104, 50])
        #expect(TLSProtocol.h1.wireBytes == [8] + Array("http/1.1".utf8))
        #expect(TLSProtocol.h1_0.wireBytes == [8] + Array("http/1.0".utf8))
        #expect(TLSProtocol.none.wireBytes.isEmpty)
    }
}
