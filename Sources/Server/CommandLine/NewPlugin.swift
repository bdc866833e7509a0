internal import Sys

/// `sluice plugin new`: a folder with a plugin that builds, tests and runs.
package struct NewPlugin {
    /// What the command line asked for.
    package struct Order: Equatable, Sendable {
        var name: String
        var isC = false
        var isRust = false
        /// A folder or the address of a Git repository; nil looks beside the executable.
        var sdk: String?
    }

    /// Why nothing, or not all, was made.
    enum Failure: Error {
        case usage(String)
        case other(String)
    }

    private let names: PluginNames
    private let language: PluginTemplate.Language
    private let sdk: SDKPlace

    /// Checks the order and finds the SDK; makes nothing.
    init(_ order: Order, executableFolder: String) throws(Failure) {
        do throws(UsageError) {
            names = try PluginNames(order.name)
        } catch {
            throw .usage(error.message)
        }
        guard !(order.isC && order.isRust) else {
            throw .usage("--c and --rust exclude each other")
        }
        language = order.isC ? .c : order.isRust ? .rust : .swift
        sdk = try Self.place(order.sdk, executableFolder)
        if case .repository = sdk, language == .c {
            throw .usage("--sdk of a plugin in C is a folder: there is no package to fetch")
        }
    }

    // MARK: The SDK

    /// A file that every folder with the SDK has.
    private static let mark = "Sources/CSluice/include/sluice/sluice.h"

    private static func place(
        _ given: String?,
        _ executableFolder: String
    ) throws(Failure) -> SDKPlace {
        guard let given else { return .folder(try find(executableFolder)) }
        // The text is put into other languages' strings.
        let isPlain = given.unicodeScalars.allSatisfy { scalar in
            scalar.value > 0x20 && scalar.value != 0x7f && !"\"\\$#".unicodeScalars.contains(scalar)
        }
        guard isPlain else {
            throw .usage(
                "--sdk \(quote(given)) has a blank or another character that can't be used"
            )
        }
        if given.contains("://") || given.hasPrefix("git@") {
            return .repository(url: given, version: Version.host)
        }
        guard let folder = File.absolute(given), File.isFile(folder + "/" + mark) else {
            throw .other("--sdk \(quote(given)): there is no Sluice SDK (no \(mark) in it)")
        }
        return .folder(folder)
    }

    /// The SDK of an installed Sluice, or of the tree that the executable was built in.
    private static func find(_ executableFolder: String) throws(Failure) -> String {
        let candidates = ["/../share/sluice/SDK", "/../../../SDK", "/../../SDK"]
            .map { executableFolder + $0 }
        for candidate in candidates where File.isFile(candidate + "/" + mark) {
            if let folder = File.absolute(candidate) { return folder }
        }
        throw .other(
            "no SDK beside this executable (looked for \(candidates[0])); say where it is with "
                + "--sdk"
        )
    }

    // MARK: The folder

    /// Writes the package and returns what to show.
    func make() throws(Failure) -> [String] {
        let folder = names.name
        guard !File.exists(folder) || File.entries(folder)?.isEmpty == true else {
            throw .other("\(folder): exists already, and is not an empty folder")
        }
        let template = PluginTemplate(language, names, sdk)
        var made: Set<String> = File.exists(folder) ? [folder] : []
        for file in template.files {
            try make(folder + "/" + file.path, file.text, &made)
        }
        return ["\(folder): a plugin in \(language.rawValue)"]
            + template.files.map { "  " + $0.path }
            + ["", "Next:", "  cd \(folder)"]
            + (template.commands + ["sluice run"]).map { "  " + $0 }
    }

    private func make(
        _ path: String,
        _ text: String,
        _ made: inout Set<String>
    ) throws(Failure) {
        var folder = ""
        for part in path.split(separator: "/").dropLast() {
            folder += (folder.isEmpty ? "" : "/") + part
            guard made.insert(folder).inserted else { continue }
            do throws(Errno) {
                try File.makeFolder(folder)
            } catch {
                throw .other("\(folder): can't be made: \(error)")
            }
        }
        do throws(Errno) {
            try File.writeNew(path, Array(text.utf8), mode: 0o666)
        } catch {
            throw .other("\(path): can't be written: \(error)")
        }
    }
}
