internal import Sys

/// The page that shows what the interface tells: one document without any other file.
///
/// It holds nothing of the proxy itself, so it is given to anybody who reaches the address; what it
/// shows it asks of the interface with the token that its user types.
enum AdminPage {
    static let path = "/"

    /// The answer to a GET of it.
    ///
    /// Only the script and style with the answer's own number are run, and only the interface is
    /// asked: text of a peer or a plugin that came to be markup could do nothing.
    static func answer() -> AdminAnswer {
        // 128 bits, as the policy's specification asks for (CSP level 3, §6.1.11).
        var number: (UInt64, UInt64) = (0, 0)
        Process.random(&number)
        let nonce = String(number.0, radix: 16) + String(number.1, radix: 16)
        var answer = AdminAnswer(response: AdminResponse(200, .string(html(nonce: nonce))))
        answer.type = "text/html; charset=utf-8"
        answer.fields = [
            AdminAnswer.Field(name: "Content-Security-Policy", value: policy(nonce: nonce)),
            AdminAnswer.Field(name: "X-Content-Type-Options", value: "nosniff"),
            AdminAnswer.Field(name: "Referrer-Policy", value: "no-referrer"),
        ]
        return answer
    }

    private static func policy(nonce: String) -> String {
        "default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; "
            + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    }

    private static func html(nonce: String) -> String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Sluice</title>
        <style nonce="\(nonce)">
        \(style)
        </style>
        </head>
        <body>
        \(body)
        <script nonce="\(nonce)">
        "use strict";
        \(scriptNames)
        \(scriptReading)
        \(scriptDrawing)
        </script>
        </body>
        </html>

        """
    }

    private static let body = """
        <header>
          <h1>Sluice</h1>
          <p id="facts">asking…</p>
        </header>
        <form id="login" hidden>
          <label>Token of the admin interface
            <input id="token" type="password" autocomplete="off" required></label>
          <button>Show</button>
        </form>
        <p id="problem" role="alert" hidden></p>
        <main id="main" hidden>
          <section id="tiles" aria-label="Totals"></section>
          <section><h2>Routes</h2><div id="routes"></div></section>
          <section><h2>Upstreams</h2><table id="upstreams"></table></section>
          <section><h2>Plugins</h2><table id="plugins"></table></section>
        </main>
        """

    private static let style = """
        :root { color-scheme: light dark; --line: #8884; --soft: #8882; --good: #2a9d5c;
          --bad: #d03a3a; --warn: #c98a00; --accent: #2b6cb0; }
        * { box-sizing: border-box; }
        [hidden] { display: none !important; }
        body { font: 14px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1180px;
          padding: 16px; }
        header { display: flex; align-items: baseline; gap: 16px; flex-wrap: wrap; }
        h1 { font-size: 20px; margin: 0; }
        h2 { font-size: 15px; margin: 24px 0 8px; }
        p { margin: 0; }
        form { margin: 24px 0; display: flex; gap: 8px; align-items: end; }
        input { display: block; min-width: 320px; padding: 4px; }
        #problem { color: var(--bad); margin: 16px 0; }
        #tiles { display: grid; gap: 12px; margin-top: 16px;
          grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); }
        .tile { border: 1px solid var(--line); border-radius: 6px; padding: 8px 12px; }
        .tile b { display: block; font-size: 22px; font-weight: 600; }
        .tile span { opacity: .75; }
        .tile svg { display: block; width: 100%; height: 36px; margin-top: 4px; }
        .tile polyline { fill: none; stroke: var(--accent); stroke-width: 1.5;
          vector-effect: non-scaling-stroke; }
        table { border-collapse: collapse; width: 100%; }
        th, td { text-align: left; padding: 3px 12px 3px 0; border-bottom: 1px solid var(--soft);
          font-variant-numeric: tabular-nums; }
        th { font-weight: 600; }
        td.number, th.number { text-align: right; }
        .route { display: flex; flex-wrap: wrap; align-items: center; gap: 6px;
          padding: 6px 0; border-bottom: 1px solid var(--soft); }
        .route .what { min-width: 220px; }
        .route .what small { display: block; opacity: .75; }
        .box { border: 1px solid var(--line); border-radius: 5px; padding: 2px 8px; }
        .box.plugin { border-color: var(--accent); }
        .box.upstream { background: var(--soft); }
        .arrow { opacity: .6; }
        .good::before, .bad::before, .warn::before { content: "●"; margin-right: 4px; }
        .good::before { color: var(--good); }
        .bad::before { color: var(--bad); }
        .warn::before { color: var(--warn); }
        """
}
