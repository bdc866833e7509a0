import Proxy
import Sys
import Testing

@testable import Server

/// Keys that say how far a plugin is trusted, and what becomes of one that has crashed.
struct PluginGuardKeyTests {
    let fixture = ManifestFixture()

    @Test func `reads how far a plugin is trusted`() throws {
        let text = Sample.manifest(
            top: "watchdog: { hang: '2s' }",
            plugin: """
                on_crash: "quarantine", budgets: { hook: "20ms", control: "2s" },
                circuit: { faults: 7, window: "3s", retry: "1m" }
                """
        )
        let settings = try fixture.parse(text)
        #expect(settings.hangTime == 2_000)
        let plugin = try #require(settings.plugins.first)
        #expect(plugin.onCrash == .quarantine)
        #expect(plugin.hookBudget == 20)
        #expect(plugin.controlBudget == 2_000)
        #expect(settings.plugins.last?.controlBudget == 30_000)
        #expect(plugin.circuit.faults == 7)
        #expect(plugin.circuit.window == 3_000)
        #expect(plugin.circuit.retry == 60_000)
        #expect(settings.plugins.last?.onCrash == .restart)
    }

    @Test func `reads the words for no bound`() throws {
        let text = Sample.manifest(
            top: "watchdog: { hang: 'none' }",
            plugin: "budgets: { hook: 'none', control: 'none' }, circuit: { faults: 'none' }"
        )
        let settings = try fixture.parse(text)
        #expect(settings.hangTime == 0)
        #expect(settings.plugins.first?.hookBudget == 0)
        #expect(settings.plugins.first?.controlBudget == 0)
        #expect(settings.plugins.first?.circuit.faults == 0)
    }

    @Test(arguments: [
        ("plugin", "on_crash: 'ignore'"), ("plugin_budgets", "hook: '61s'"),
        ("plugin_budgets", "hook: '0ms'"), ("plugin_budgets", "control: '99ms'"),
        ("plugin_budgets", "control: '61m'"), ("plugin_circuit", "faults: 0"),
        ("plugin_circuit", "faults: 1000001"), ("plugin_circuit", "retry: 'none'"),
        ("watchdog", "hang: '25h'"), ("watchdog", "hang: 10"),
    ])
    func `refuses what is out of bounds`(table: String, member: String) {
        let key = member.prefix { $0 != ":" }
        let problems = fixture.problems(Sample.manifest(table, member))
        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix(Sample.path(table) + key + ":") == true)
    }

    @Test func `a quarantine holds one file under one name`() {
        let plugin = PluginSettings(name: "one", libraryPath: "/x.so")
        #expect(Quarantine(name: "one", sha256: "aa").holds(plugin, sha256: "aa"))
        #expect(!Quarantine(name: "one", sha256: "aa").holds(plugin, sha256: "bb"))
        #expect(!Quarantine(name: "two", sha256: "aa").holds(plugin, sha256: "aa"))
        #expect(Quarantine(name: "", sha256: "aa").holds(plugin, sha256: "aa"))
    }
}
