import Testing

@testable import Server

struct CommandParserTests {
    private func parse(_ line: String) -> Result<Command, UsageError> {
        do throws(UsageError) {
            return .success(try Command.parse(line.split(separator: " ").map(String.init)))
        } catch {
            return .failure(error)
        }
    }

    @Test(arguments: [
        ("run", Command.run(.init())),
        ("run --no-supervisor", .run(.init(isSupervised: false))),
        ("run -m a.json5", .run(.init(manifest: "a.json5"))),
        (
            "run --no-supervisor --manifest=a=b",
            .run(.init(manifest: "a=b", isSupervised: false))
        ),
        ("check --manifest a", .check(manifest: "a", binds: true)),
        ("check -m -", .check(manifest: "-", binds: true)),
        ("version", .version), ("--version", .version), ("-V", .version), ("demo", .demo),
        ("plugin list", .pluginList(manifest: "sluice.json5")),
        ("plugin list -m=a", .pluginList(manifest: "a")),
        ("plugin inspect a.so", .pluginInspect(file: "a.so", loads: false)),
        ("plugin inspect --load a.so", .pluginInspect(file: "a.so", loads: true)),
        ("plugin new a", .pluginNew(NewPlugin.Order(name: "a"))),
        (
            "plugin new --rust a --sdk=b",
            .pluginNew(NewPlugin.Order(name: "a", isRust: true, sdk: "b"))
        ),
        ("plugin new --c a", .pluginNew(NewPlugin.Order(name: "a", isC: true))),
        ("plugin inspect -- -a.so", .pluginInspect(file: "-a.so", loads: false)),
    ])
    func `reads commands`(line: String, expected: Command) {
        #expect(parse(line) == .success(expected))
    }

    @Test func `reads how a service is to run`() {
        var order = Command.RunOrder(manifest: "m")
        order.isDaemon = true
        order.pidFile = "/run/p"
        order.user = "u"
        order.group = "g"
        order.takeOver = "/run/t"
        let line = "run -m m --daemon --pid-file /run/p --user=u --group g --take-over /run/t"
        #expect(parse(line) == .success(.run(order)))
        var alone = Command.RunOrder(isSupervised: false)
        alone.user = "u"
        #expect(parse("run --no-supervisor --user u") == .success(.run(alone)))
    }

    @Test(arguments: ["--daemon", "--pid-file=a", "--take-over=a"])
    func `some of it needs the supervisor`(option: String) {
        let name = option.split(separator: "=")[0]
        #expect(
            parse("run --no-supervisor \(option)")
                == .failure(UsageError("option \"\(name)\" needs the supervisor"))
        )
    }

    @Test(arguments: [
        ("", "no command; `sluice --help` lists them"),
        ("chek", "unknown command \"chek\"; did you mean \"check\"?"),
        ("serve", "unknown command \"serve\"; `sluice --help` lists them"),
        ("plugins", "unknown command \"plugins\"; did you mean \"plugin\"?"),
        ("plugin", "\"plugin\" needs another word; `sluice plugin --help` lists them"),
        ("plugin inspct a", "unknown command \"plugin inspct\"; did you mean \"plugin inspect\"?"),
        ("plugin eat", "unknown command \"plugin eat\"; `sluice plugin --help` lists them"),
        ("plugin new", "`sluice plugin new` needs a NAME"),
        ("plugin new a --sdk", "option \"--sdk\" needs a PLACE"),
        ("--verson", "unknown option \"--verson\" before a command; did you mean \"--version\"?"),
        ("-m a run", "unknown option \"-m\" before a command"),
        (
            "run --manifst a",
            "unknown option \"--manifst\" of `sluice run`; did you mean \"--manifest\"?"
        ),
        ("demo -m a", "unknown option \"-m\" of `sluice demo`"),
        ("run -m", "option \"-m\" needs a FILE"),
        ("run --manifest=", "option \"--manifest\" needs a FILE"),
        ("run -m a --manifest b", "option \"--manifest\" is given twice"),
        ("run --no-supervisor=1", "option \"--no-supervisor\" takes no value"),
        ("check a", "unexpected argument \"a\" of `sluice check`"),
        ("plugin inspect", "`sluice plugin inspect` needs a FILE.so"),
        ("plugin inspect a b", "unexpected argument \"b\" of `sluice plugin inspect`"),
        ("help serve", "unknown command \"serve\"; `sluice --help` lists them"),
    ])
    func `names what it does not know`(line: String, message: String) {
        #expect(parse(line) == .failure(UsageError(message)))
    }

    @Test(arguments: CommandForm.all.map(\.name))
    func `has help for each command`(name: String) throws {
        for line in [name + " --help", name + " -h", "help " + name] {
            guard case .success(.help(let text)) = parse(line) else {
                Issue.record("no help for \(line)")
                continue
            }
            #expect(text.hasPrefix("usage: sluice \(name)"))
            #expect(text.contains("--help"))
            #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 })
        }
    }

    @Test(arguments: ["--help", "-h", "help"])
    func `lists all commands`(line: String) {
        guard case .success(.help(let text)) = parse(line) else {
            Issue.record("no help")
            return
        }
        for form in CommandForm.all { #expect(text.contains("  \(form.name)  ")) }
        #expect(parse("plugin --help") == parse("help plugin"))
    }
}
