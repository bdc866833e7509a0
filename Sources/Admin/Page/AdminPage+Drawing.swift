extension AdminPage {
    /// The second half of the script: draws what was read.
    ///
    /// Text gets into the document by `textContent` alone.
    static let scriptDrawing = #"""
        const byID = id => document.getElementById(id);

        function make(name, text, kind) {
          const element = document.createElement(name);
          if (text !== undefined) element.textContent = text;
          if (kind) element.className = kind;
          return element;
        }

        function number(value) {
          if (!Number.isFinite(value)) return "–";
          if (Number.isInteger(value) || value >= 10000) {
            return Math.round(value).toLocaleString("en");
          }
          return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2);
        }

        function time(seconds) {
          if (!Number.isFinite(seconds)) return "–";
          if (seconds >= 1) return number(seconds) + " s";
          return seconds >= 1e-3 ? number(seconds * 1e3) + " ms" : number(seconds * 1e6) + " µs";
        }

        function tile(key, title, value, shown) {
          const line = history[key] = [...(history[key] || []), value].slice(-kept);
          const box = make("div", undefined, "tile");
          box.append(make("span", title), make("b", shown));
          const space = "http://www.w3.org/2000/svg";
          const chart = document.createElementNS(space, "svg");
          chart.setAttribute("viewBox", "0 0 " + (kept - 1) + " 30");
          chart.setAttribute("preserveAspectRatio", "none");
          const top = Math.max(...line.filter(Number.isFinite), 1e-9);
          const points = line.map((v, i) =>
            (kept - line.length + i) + "," + (29 - 28 * (Number.isFinite(v) ? v : 0) / top));
          const curve = document.createElementNS(space, "polyline");
          curve.setAttribute("points", points.join(" "));
          chart.append(curve);
          box.append(chart);
          return box;
        }

        function drawTiles(now) {
          const requests = total(rates(now, names.requests));
          const failed = total(rates(now, names.requests, undefined, l => l[names.code] === "5xx"));
          const tiles = [
            tile("requests", "Requests / s", requests, number(requests)),
            tile("failed", "5xx / s", failed, number(failed)),
          ];
          for (const [q, title] of [[0.5, "Half within"], [0.99, "99 % within"]]) {
            tiles.push(tile("q" + q, title, ...duration(now, q)));
          }
          const open = total(sums(now.metrics, names.inFlight));
          tiles.push(tile("open", "Requests in flight", open, number(open)));
          const hits = rates(now, names.cache, names.cacheStatus);
          for (const kind of ["none", "bypass", "updated"]) hits.delete(kind);
          if (hits.size) {
            const served = (hits.get("hit") || 0) + (hits.get("stale") || 0);
            const share = 100 * served / total(hits);
            tiles.push(tile("hits", "Cache hits", share, number(share) + " %"));
          }
          byID("tiles").replaceChildren(...tiles);
        }

        function drawRoutes(now) {
          const perRoute = rates(now, names.requests, names.route);
          const begin = (name, match) => {
            const row = make("div", undefined, "route");
            const what = make("div", match, "what");
            const [, slow] = duration(now, 0.99, l => l[names.route] === name);
            what.append(make("small", name + ": " +
              number(perRoute.get(name) || 0) + "/s, 99 % within " + slow));
            row.append(what);
            return row;
          };
          const rows = now.routes.routes.map(route => {
            const row = begin(route.name, route.match);
            const boxes = route.chain.map(name => make("span", name, "box plugin"));
            if (route.upstream) boxes.push(make("span", route.upstream, "box upstream"));
            for (const box of boxes) row.append(make("span", "→", "arrow"), box);
            const upstream = now.upstreams.upstreams.find(u => u.name === route.upstream);
            if (upstream) {
              row.append(make("span", "→", "arrow"), make("span",
                upstream.healthy + " of " + upstream.peers.length + " peers",
                upstream.healthy === upstream.peers.length ? "good"
                  : upstream.healthy ? "warn" : "bad"));
            }
            return row;
          });
          // They are in the total, and would be looked for in vain.
          if (perRoute.get(names.noRoute)) rows.push(begin(names.noRoute, "refused, or no route"));
          byID("routes").replaceChildren(...rows);
        }

        function table(id, titles, rows) {
          const head = make("tr");
          titles.forEach(([title, kind]) => head.append(make("th", title, kind)));
          byID(id).replaceChildren(head, ...rows.map(cells => {
            const row = make("tr");
            cells.forEach((cell, i) => row.append(
              cell instanceof Node ? cell : make("td", cell, titles[i][1])));
            return row;
          }));
        }

        function drawUpstreams(now) {
          const kinds = {healthy: "good", draining: "warn", ejected: "bad", unhealthy: "bad"};
          const rows = now.upstreams.upstreams.flatMap(upstream => upstream.peers.map(peer => [
            upstream.name, peer.address, make("td", peer.health, kinds[peer.health]),
            number(peer.in_flight), time(peer.latency_microseconds / 1e6 || NaN),
            String(peer.weight),
            [peer.zone, peer.backup && "backup", peer.reason].filter(Boolean).join(", ")]));
          table("upstreams", [["Upstream"], ["Peer"], ["Health"], ["In flight", "number"],
            ["First byte", "number"], ["Weight", "number"], [""]], rows);
        }

        function drawPlugins(now) {
          const calls = rates(now, names.calls, names.plugin);
          const spent = rates(now, names.callSeconds + "_sum", names.plugin);
          const sampled = rates(now, names.callSeconds + "_count", names.plugin);
          const faults = sums(now.metrics, names.faults, names.plugin);
          const rows = now.status.plugins.map(p => [
            p.name, p.id, p.version, number(calls.has(p.name) ? calls.get(p.name) : NaN),
            time((spent.get(p.name) || 0) / (sampled.get(p.name) || 0)),
            number(faults.get(p.name) || 0), p.state || ""]);
          table("plugins", [["Plugin"], ["Library"], ["Version"], ["Calls / s", "number"],
            ["Time of a call", "number"], ["Faults", "number"], ["State"]], rows);
        }

        function show(now) {
          const s = now.status;
          byID("facts").textContent = [
            "version " + s.version, s.state, "process " + s.pid, s.workers + " workers",
            "up " + s.uptime_seconds + " s", s.manifest].join(" · ");
          if (before && before.status.pid === s.pid) {
            for (const draw of [drawTiles, drawRoutes, drawUpstreams, drawPlugins]) draw(now);
            byID("main").hidden = false;
          }
          before = now;
        }

        async function turn() {
          try {
            const [status, metrics, upstreams, routes] = await Promise.all(
              ["/v1/status", "/v1/metrics", "/v1/upstreams", "/v1/routes"].map(ask));
            show({time: metrics.time, metrics: metrics.samples, status, upstreams, routes});
            byID("problem").hidden = true;
            byID("login").hidden = true;
          } catch (error) {
            byID("problem").hidden = false;
            byID("problem").textContent = error instanceof Locked
              ? (token ? "The token is wrong." : "A token is needed.") : String(error);
            if (error instanceof Locked) {
              byID("login").hidden = false;
              return;
            }
          }
          setTimeout(turn, period);
        }

        byID("login").addEventListener("submit", event => {
          event.preventDefault();
          token = byID("token").value;
          sessionStorage.setItem("token", token);
          turn();
        });
        turn();
        """#
}
