internal import Admin
internal import PluginHost

/// What the process that tries a library is told, as JSON.
struct PluginProbeOrder {
    /// The file's name, for messages; it is not opened.
    var path: String
    /// Of the bytes behind the order.
    var sha256: String
    var name: String
    var folder: String
    var workerCount: Int
    var memoryBytes: Int
    /// Names of upstreams, which plugins may ask for when they are made.
    var upstreams: [String]
    var configuration: ConfigurationTree.Node

    // MARK: Writing

    var json: JSON {
        [
            "path": .string(path), "sha256": .string(sha256), "name": .string(name),
            "folder": .string(folder),
            "workers": .integer(Int64(workerCount)), "memory": .integer(Int64(memoryBytes)),
            "upstreams": .array(upstreams.map { .string($0) }),
            "configuration": Self.json(configuration),
        ]
    }

    /// Lists begin with a word, because a text may have a meaning beside it.
    private static func json(_ node: ConfigurationTree.Node) -> JSON {
        switch node {
        case .null: .null
        case .bool(let flag): .bool(flag)
        case .integer(let number): .integer(number)
        case .number(let number): .number(number)
        case .string(let text, meaning: 0): .string(text)
        case .string(let text, let meaning): ["text", .string(text), .integer(meaning)]
        case .array(let elements): .array(["list"] + elements.map { json($0) })
        case .object(let members): .object(members.map { .init($0.key, json($0.value)) })
        }
    }

    // MARK: Reading

    /// Nil for what `json` does not write.
    init?(_ bytes: [UInt8]) {
        guard let root = try? JSON5Parser.parse(bytes),
            case .string(let path)? = root.member("path")?.content,
            case .string(let sha256)? = root.member("sha256")?.content,
            case .string(let name)? = root.member("name")?.content,
            case .string(let folder)? = root.member("folder")?.content,
            case .integer(let workerCount)? = root.member("workers")?.content,
            case .integer(let memoryBytes)? = root.member("memory")?.content,
            let upstreams = root.member("upstreams")?.elements,
            let configuration = root.member("configuration").flatMap(Self.configuration)
        else { return nil }
        self.init(
            path: path,
            sha256: sha256,
            name: name,
            folder: folder,
            workerCount: Int(workerCount),
            memoryBytes: Int(memoryBytes),
            upstreams: upstreams.compactMap { node in
                guard case .string(let text) = node.content else { return nil }
                return text
            },
            configuration: configuration
        )
    }

    init(
        path: String,
        sha256: String,
        name: String,
        folder: String,
        workerCount: Int,
        memoryBytes: Int,
        upstreams: [String],
        configuration: ConfigurationTree.Node
    ) {
        self.path = path
        self.sha256 = sha256
        self.name = name
        self.folder = folder
        self.workerCount = workerCount
        self.memoryBytes = memoryBytes
        self.upstreams = upstreams
        self.configuration = configuration
    }

    private static func configuration(_ node: Node) -> ConfigurationTree.Node? {
        switch node.content {
        case .null: return .null
        case .bool(let flag): return .bool(flag)
        case .integer(let number): return .integer(number)
        case .number(let number): return .number(number)
        case .string(let text): return .string(text)
        case .array(let elements):
            switch elements.first?.content {
            case .string("list"):
                let values = elements.dropFirst().compactMap(configuration)
                return values.count == elements.count - 1 ? .array(values) : nil
            case .string("text"):
                guard elements.count == 3, case .string(let text) = elements[1].content,
                    case .integer(let meaning) = elements[2].content
                else { return nil }
                return .string(text, meaning: meaning)
            default: return nil
            }
        case .object(let members):
            var values: [(key: String, value: ConfigurationTree.Node)] = []
            for member in members {
                guard let value = configuration(member.value) else { return nil }
                values.append((member.key, value))
            }
            return .object(values)
        }
    }
}
