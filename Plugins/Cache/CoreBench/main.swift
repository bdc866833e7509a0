internal import TinyUFOWorkloads

/// What is measured, by the word of the command line.
let commands: [String: () throws -> Void] = [
    "ratios": { try Ratios.run(requests: 5_000_000) },
    "speed": { try Speed.run() },
    "stress": { try Endurance.run(steps: 300_000) },
]

if CommandLine.arguments.count == 2, let command = commands[CommandLine.arguments[1]] {
    try command()
} else {
    print("usage: TinyUFOBench ratios|speed|stress")
}
