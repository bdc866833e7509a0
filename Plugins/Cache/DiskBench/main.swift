/// What is done, by the word of the command line.
let commands: [String: ([String]) throws -> Void] = [
    "crash": Crash.run, "stress": DiskStress.run, "speed": DiskSpeed.run,
]

func usage() {
    print("usage: CacheDiskBench crash FOLDER SEED|stress FOLDER SIZE STEPS|speed FOLDER")
}

if CommandLine.arguments.count >= 2, let command = commands[CommandLine.arguments[1]] {
    try command(Array(CommandLine.arguments.dropFirst(2)))
} else {
    usage()
}
