internal import Server

Commands.main(Array(CommandLine.arguments.dropFirst()))
