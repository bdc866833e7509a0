/// The manifest of `sluice demo`: a proxy and the two origins that it balances over, all in one
/// process, on ports of the loopback address.
enum Demo {
    static let manifest = """
        {
          version: 1,
          workers: 1,
          listeners: [
            { listen: "127.0.0.1:8080" },
            { listen: "127.0.0.1:9001" },
            { listen: "127.0.0.1:9002" },
          ],
          plugins: {
            rr: { library: "libRoundRobin.so" },
            headers: { library: "libHeaders.so" },
            origin_a: { library: "libRespond.so", config: { body: "hello from origin A\\n" } },
            origin_b: { library: "libRespond.so", config: { body: "hello from origin B\\n" } },
          },
          upstreams: {
            app: { balancer: "rr", peers: ["127.0.0.1:9001", "127.0.0.1:9002"] },
          },
          routes: [
            { match: { listener: "127.0.0.1:9001" }, chain: ["origin_a"] },
            { match: { listener: "127.0.0.1:9002" }, chain: ["origin_b"] },
            { match: {}, chain: ["headers"], upstream: "app" },
          ],
        }
        """

    static let introduction = """
        The demo is this manifest:

        \(manifest)

        A proxy on http://127.0.0.1:8080 balances over two origins, which are two more listeners
        of this process that the Respond plugin answers for. Try, in another terminal:

          curl -v http://127.0.0.1:8080/        # again and again: the origins take turns
          curl http://127.0.0.1:9001/           # an origin itself

        Ctrl-C ends it.

        """
}
