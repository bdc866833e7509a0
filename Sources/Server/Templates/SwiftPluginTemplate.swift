/// The package of a plugin in Swift.
enum SwiftPluginTemplate {
    static func make(_ names: PluginNames, _ sdk: SDKPlace) -> PluginTemplate {
        let module = names.module
        let commands = ["swift test", "swift build -c release"]
        let files = [
            PluginTemplate.File(path: "Package.swift", text: package(names, sdk)),
            PluginTemplate.File(
                path: "Sources/\(module)/\(module)Plugin.swift",
                text: plugin(names)
            ),
            PluginTemplate.File(path: "Sources/\(module)Entry/Entry.swift", text: entry(names)),
            PluginTemplate.File(
                path: "Sources/\(module)Descriptor/Descriptor.c",
                text: descriptor(names)
            ),
            PluginTemplate.File(
                path: "Tests/\(module)Tests/\(module)PluginTests.swift",
                text: tests(names)
            ),
            PluginTemplate.File(path: "exports.map", text: exports),
            PluginTemplate.File(path: ".gitignore", text: ".build/\nPackage.resolved\n"),
            PluginTemplate.manifest(names, library: ".build/release/lib\(module).so"),
            PluginTemplate.readme(
                names,
                .swift,
                commands: commands,
                files: [
                    ("Sources/\(module)", "the plugin, which tests link"),
                    ("Sources/\(module)Entry", "the symbol that the host looks for"),
                    ("Sources/\(module)Descriptor", "what the host reads without running it"),
                    ("Tests/\(module)Tests", "its tests, through the tables that the host calls"),
                    ("exports.map", "keeps all other symbols inside the library"),
                    ("sluice.json5", "a manifest to try it with"),
                ]
            ),
        ]
        return PluginTemplate(files: files, commands: commands)
    }

    private static let exports = """
        {
            global: sluice_plugin_hello_v0;
            local: *;
        };

        """

    /// The package of the SDK as SwiftPM calls it, and the two places in the manifest that name it.
    private static func dependency(
        _ sdk: SDKPlace
    ) -> (package: String, head: String, entry: String) {
        switch sdk {
        case .folder(let path):
            let head = """

                // Where the SDK is, unless SLUICE_SDK names another folder.
                let folder = Context.environment["SLUICE_SDK"] ?? \(quote(path))

                """
            return ("SDK", head, ".package(name: \"SDK\", path: folder)")
        case .repository(let url, let version):
            // SwiftPM knows a package by the last part of its address.
            let last = url.split(separator: "/").last.map(String.init) ?? url
            let name = last.hasSuffix(".git") ? String(last.dropLast(4)) : last
            return (name, "", ".package(url: \(quote(url)), .upToNextMinor(from: \"\(version)\"))")
        }
    }

    private static func package(_ names: PluginNames, _ sdk: SDKPlace) -> String {
        let module = names.module
        let dependency = dependency(sdk)
        return """
            // swift-tools-version: 6.2
            import PackageDescription
            \(dependency.head)
            func sdk(_ product: String) -> Target.Dependency {
                .product(name: product, package: "\(dependency.package)")
            }

            let package = Package(
                name: "\(names.name)",
                products: [
                    .library(name: "\(module)", type: .dynamic, targets: ["\(module)Entry"])
                ],
                dependencies: [\(dependency.entry)],
                targets: [
                    .target(name: "\(module)", dependencies: [sdk("SluiceSDK")]),
                    // What the library has and a test's program must not: the entry and its flags.
                    .target(
                        name: "\(module)Entry",
                        dependencies: [
                            "\(module)", "\(module)Descriptor", sdk("SluiceSDK"), sdk("CSluice"),
                        ],
                        linkerSettings: [
                            // The library carries its own Swift runtime: it needs no Swift where it
                            // runs, and shares nothing with the host or with other plugins.
                            .unsafeFlags(["-static-stdlib"], .when(configuration: .release)),
                            // It exports its one symbol, and is never unmapped.
                            .unsafeFlags([
                                "-Xlinker",
                                "--version-script=" + Context.packageDirectory + "/exports.map",
                                "-Xlinker", "-z", "-Xlinker", "nodelete",
                            ]),
                        ]
                    ),
                    .target(
                        name: "\(module)Descriptor",
                        dependencies: [sdk("CSluice")],
                        publicHeadersPath: "."
                    ),
                    .testTarget(
                        name: "\(module)Tests",
                        dependencies: ["\(module)", sdk("SluiceSDK"), sdk("SluiceTestKit")]
                    ),
                ]
            )

            """
    }

    private static func plugin(_ names: PluginNames) -> String {
        let type = names.module + "Plugin"
        return """
            import SluiceSDK

            /// Sets `x-\(names.name)` in every response.
            public struct \(type): ResponseHeadersHook {
                public static let id: StaticString = "\(names.id)"
                public static let version: StaticString = "1.0.0"
                public static let summary: StaticString = "Sets x-\(names.name) in every response."

                private let name: FieldName
                private let greeting: Bytes

                /// Makes an instance of `config: { greeting: "hello" }`.
                public init(_ configuration: ConfigurationValue, _ host: Host) throws(PluginError) {
                    try configuration.allowKeys(["greeting"])
                    name = try FieldName(named: "x-\(names.name)")
                    greeting = try configuration.string("greeting") ?? "hello"
                }

                public func responseHeaders(_ exchange: borrowing Exchange<\(type)>) -> Verdict {
                    exchange.edits.set(name, greeting)
                    return .next
                }

                public static func offer(_ offer: inout Offer) {
                    offer.create = { Export<\(type)>.create($0, $1, $2) }
                    offer.check = { Export<\(type)>.check($0, $1) }
                    offer.responseHeaders = { Export<\(type)>.responseHeaders($0, $1, $2, $3, $4) }
                }
            }

            """
    }

    private static func entry(_ names: PluginNames) -> String {
        """
        import CSluice
        import \(names.module)
        import SluiceSDK

        /// The library's only symbol; `sluice/hello.h` declares it.
        @c @implementation
        public func sluice_plugin_hello_v0(
            _ host: UnsafePointer<sluice_host_hello>?,
            _ out: UnsafeMutablePointer<sluice_plugin_hello>?
        ) -> Int32 {
            Export<\(names.module)Plugin>.hello(host, out)
        }

        """
    }

    private static func descriptor(_ names: PluginNames) -> String {
        """
        #include <sluice/descriptor.h>

        /* What the host reads without running the plugin: JSON, as it stands here. */
        SLUICE_DESCRIPTOR({
            "abi": "\(Version.pluginABI)",
            "id": "\(names.id)",
            "version": "1.0.0",
            "description": "Sets x-\(names.name) in every response.",
            "hooks": ["response_headers"],
            "required": ["sluice.core/1"],
            "config": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "greeting": { "type": "string", "minLength": 1, "default": "hello" }
                }
            }
        });

        """
    }

    private static func tests(_ names: PluginNames) -> String {
        let type = names.module + "Plugin"
        return """
            import \(names.module)
            import SluiceSDK
            import SluiceTestKit
            import Testing

            struct \(type)Tests {
                @Test func `sets the field`() throws {
                    let plugin = try PluginFixture(\(type).self, ["greeting": "good morning"])
                    let request = RequestFixture()
                    request.respond(status: 200)
                    #expect(plugin.responseHeaders(request) == .next)
                    #expect(request.response["x-\(names.name)"] == "good morning")
                }

                @Test func `says hello without a configuration`() throws {
                    let plugin = try PluginFixture(\(type).self)
                    let request = RequestFixture()
                    request.respond(status: 200)
                    plugin.responseHeaders(request)
                    #expect(request.response["x-\(names.name)"] == "hello")
                }

                @Test func `refuses keys that it does not know`() {
                    #expect(PluginFixture.refusal(\(type).self, ["greting": "x"]) != nil)
                }
            }

            """
    }
}
