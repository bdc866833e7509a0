import Glibc
import Testing

/// `CacheDiskBench`, which is beside the program of the tests.
final class Program {
    private var process = pid_t()
    private let output: Int32

    /// How it ended, and what it has said until then, as words of lines.
    struct Ended {
        var status: Int32
        var lines: [[Substring]]
    }

    init(_ arguments: [String]) throws {
        var path = [CChar](repeating: 0, count: 4_096)
        let count = readlink("/proc/self/exe", &path, path.count)
        let own = String(decoding: path[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
        let end = try #require(own.lastIndex(of: "/"))
        let program = String(own[...end] + "CacheDiskBench")
        var pipes: [Int32] = [0, 0]
        let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue
        try #require(socketpair(AF_UNIX, Int32(kind), 0, &pipes) == 0)
        output = pipes[0]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
        var pointers = ([program] + arguments).map { strdup($0) } + [nil]
        let result = posix_spawn(&process, program, &actions, nil, &pointers, nil)
        for pointer in pointers { free(pointer) }
        posix_spawn_file_actions_destroy(&actions)
        close(pipes[1])
        try #require(result == 0, "\(program): error \(result)")
    }

    /// Kills it after so many microseconds.
    func kill(after delay: UInt32) -> Ended {
        usleep(delay)
        Glibc.kill(process, SIGKILL)
        return wait()
    }

    /// Waits until it has ended.
    func wait() -> Ended {
        var text: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(output, &piece, piece.count)
            guard count > 0 else { break }
            text += piece[..<count]
        }
        close(output)
        var status: Int32 = 0
        waitpid(process, &status, 0)
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        return Ended(status: status, lines: lines.map { $0.split(separator: " ") })
    }
}
