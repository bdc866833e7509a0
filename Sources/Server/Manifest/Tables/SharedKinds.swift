internal import Proxy

// Kinds of values that several tables use, or that need the reader's folders.

extension ValueKind where Value == Int {
    /// A time of an exchange: 1 ms to one day.
    static let time = ValueKind.duration(1...86_400_000)
}

extension ValueKind where Value == UInt32 {
    /// Permissions of a file, as in "0660".
    static let mode = ValueKind.parsed(
        .init(
            "octal string",
            expected: "an octal string such as \"0660\"",
            pattern: "^0?[0-7]{3}$"
        ),
        text: { "\"0" + String($0, radix: 8) + "\"" }
    ) { text, _ throws(Complaint) in
        let digits = text.utf8.count == 4 && text.hasPrefix("0") ? text.dropFirst() : text[...]
        guard digits.utf8.count == 3, !digits.hasPrefix("+"), !digits.hasPrefix("-"),
            let mode = UInt32(digits, radix: 8)
        else {
            throw Complaint("expected an octal string such as \"0660\", found \(quote(text))")
        }
        return mode
    }
}

extension ValueKind where Value == Bool {
    /// `true`; left out it is not so.
    static let yes = ValueKind(form: .yes, text: { _ in nil }) { node, reader in
        guard case .bool(true) = node.content else {
            reader.report(expected: ValueForm.yes.expectedText, at: node)
            return nil
        }
        return true
    }
}

extension ValueKind where Value == String {
    /// The name of a zone, as of a data centre.
    static let zone = ValueKind.parsed(Pattern.nameForm) { text, _ throws(Complaint) in
        if let complaint = Pattern.complaint(aboutName: text) { throw complaint }
        return text
    }

    static func address(for role: Address.Role) -> ValueKind {
        let example = role == .listener ? "0.0.0.0:8080" : "192.0.2.1:80"
        return .parsed(.init("address", expected: "an address such as \"\(example)\"")) {
            text,
            reader throws(Complaint) in
            try Address(text, for: role, folder: reader.folder).text
        }
    }

    /// Where a listener listens; routes may refer to it.
    static let listen: ValueKind = {
        let address = ValueKind.address(for: .listener)
        return ValueKind(form: address.form, text: address.text) { node, reader in
            guard let text = address.read(node, &reader) else { return nil }
            reader.declare(.listener, text)
            return text
        }
    }()

    /// The address of a listener, written in any of its forms.
    static let listener: ValueKind = {
        let address = ValueKind.address(for: .listener)
        return ValueKind(form: address.form, text: address.text) { node, reader in
            guard let text = address.read(node, &reader) else { return nil }
            reader.refer(to: .listener, text, at: node)
            return text
        }
    }()

    /// A host with or without a port, for `Host`.
    static let hostOverride = ValueKind.parsed(
        .init("host", expected: "a host such as \"example.com\" or \"example.com:8080\"")
    ) { text, reader throws(Complaint) in
        if !text.hasPrefix("unix:"),
            (try? Address(text, for: .peer, folder: reader.folder)) != nil
        {
            return text
        }
        if !text.hasPrefix("*"), (try? Pattern.host(text)) != nil { return text }
        throw Complaint("\(quote(text)) is not a host such as \"example.com:8080\"")
    }

    static let folder = ValueKind.parsed(
        .init("folder", expected: "the path of a folder")
    ) { text, reader throws(Complaint) in
        let path = ManifestPath.resolve(text, in: reader.folder)
        guard reader.surroundings.kind(path) == .folder else {
            throw Complaint("there is no folder \(quote(path))")
        }
        return path
    }

    /// The file of a shared library: a name in the folder of plugins, or a path.
    static let library = ValueKind.parsed(
        .init("file", expected: "the name of a library's file such as \"libHeaders.so\"")
    ) { text, reader throws(Complaint) in
        guard !text.isEmpty, !text.utf8.contains(0) else { throw Complaint("not a file name") }
        let isPath = text.utf8.contains(UInt8(ascii: "/"))
        let path = ManifestPath.resolve(text, in: isPath ? reader.folder : reader.pluginFolder)
        switch reader.surroundings.kind(path) {
        case .file: return path
        case .missing: throw Complaint("there is no file \(quote(path))")
        case .folder: throw Complaint("\(quote(path)) is a folder, not a library")
        case .other: throw Complaint("\(quote(path)) is not a file that can be read")
        }
    }

    static let routeName = ValueKind.parsed(Pattern.nameForm) { text, _ throws(Complaint) in
        if let complaint = Pattern.complaint(aboutName: text) { throw complaint }
        return text
    }

    static let method = ValueKind.parsed(Pattern.methodForm) { text, _ throws(Complaint) in
        try Pattern.method(text)
    }
}

extension ValueKind where Value == [String] {
    /// Plugin instances in the order that requests pass them, each once.
    static let chain: ValueKind = {
        let list = ValueKind.list(of: .reference(to: .plugin), 0...ManifestLimits.chainMax)
        return ValueKind(form: list.form, text: list.text) { node, reader in
            guard let names = list.read(node, &reader) else { return nil }
            for (index, element) in node.elements.enumerated() {
                guard case .string(let name) = element.content,
                    node.elements[..<index].contains(where: { $0.content == element.content })
                else { continue }
                reader.inside(.index(index)) {
                    $0.report("\(quote(name)) is on this chain already", at: element)
                }
            }
            return names
        }
    }()
}
