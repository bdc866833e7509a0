extension AdminPage {
    /// The first half of the script: asks the interface, and makes numbers of two answers.
    ///
    /// Everything that is counted only grows, so what is shown is the difference between the last
    /// answer and the one before it; a new process begins anew.
    static let scriptReading = #"""
        const period = 1000, kept = 120;
        let token = sessionStorage.getItem("token") || "", before = null, history = {};

        async function ask(path) {
          const headers = token ? {Authorization: "Bearer " + token} : {};
          const answer = await fetch(path, {headers, cache: "no-store"});
          if (answer.status === 401) throw new Locked();
          if (!answer.ok) throw new Error(path + ": " + answer.status);
          if (path !== "/v1/metrics") return answer.json();
          // Rates are those of the metrics, so it is their time that counts.
          return {time: performance.now(), samples: parse(await answer.text())};
        }

        class Locked extends Error {}

        // The Prometheus text format: [{name, labels, value}].
        function parse(text) {
          const samples = [];
          const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)/;
          const pair = /([a-zA-Z_]\w*)="((?:\\.|[^"\\])*)"/g;
          for (const row of text.split("\n")) {
            const found = row.startsWith("#") ? null : line.exec(row);
            if (!found) continue;
            const labels = {};
            for (const [, name, value] of (found[2] || "").matchAll(pair)) {
              labels[name] = value.replace(/\\(.)/g, (_, c) => c === "n" ? "\n" : c);
            }
            samples.push({name: found[1], labels, value: Number(found[3])});
          }
          return samples;
        }

        // Sums by a label (or all in one), of the samples with that name which `keep` lets pass.
        function sums(samples, name, by, keep = () => true) {
          const out = new Map();
          for (const s of samples) {
            if (s.name !== name || !keep(s.labels)) continue;
            const key = by ? s.labels[by] ?? "" : "";
            out.set(key, (out.get(key) || 0) + s.value);
          }
          return out;
        }

        // What was added since the answer before, by second.
        function rates(now, name, by, keep) {
          const was = sums(before.metrics, name, by, keep), out = sums(now.metrics, name, by, keep);
          const seconds = (now.time - before.time) / 1000;
          for (const [key, value] of out) {
            const added = value - (was.get(key) || 0);
            out.set(key, (added < 0 ? value : added) / seconds);
          }
          return out;
        }

        const total = map => [...map.values()].reduce((a, b) => a + b, 0);

        // The quantile of how long requests took in the last period, and its text: with a sign
        // where the buckets know no more than a bound. NaN when nothing was counted. Tunnels are
        // left out: they take as long as they stand.
        function duration(now, q, keep = () => true) {
          const rows = [...rates(now, names.duration + "_bucket", "le",
              l => l[names.code] !== names.tunnelCode && keep(l))]
            .map(([le, value]) => [le === "+Inf" ? Infinity : Number(le), value])
            .sort((a, b) => a[0] - b[0]);
          const all = rows.length ? rows[rows.length - 1][1] : 0;
          if (!all) return [NaN, time(NaN)];
          let low = 0, under = 0;
          for (const [bound, count] of rows) {
            if (count >= q * all) {
              if (bound === Infinity) break;
              if (!low) return [bound, "<" + time(bound)];
              const part = (q * all - under) / Math.max(count - under, 1e-9);
              const value = low + (bound - low) * part;
              return [value, time(value)];
            }
            low = bound;
            under = count;
          }
          return [low, ">" + time(low)];
        }
        """#
}
