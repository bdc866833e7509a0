// swift-tools-version: 6.2
import PackageDescription

/// A plugin that ships with the host: the four targets and the product are made from this table.
///
/// To add one, add its name here and the folder `Plugins/NAME` with `Sources`, `Entry`,
/// `Descriptor` and `Tests`.
let plugins = [
    "RoundRobin", "Ketama", "Maglev", "Random", "LeastConnections", "Headers", "Respond",
    "HealthCheck", "Discovery", "RateLimit", "Compression", "AccessLog", "Tracing", "Metrics",
    "Cache",
]

/// What several plugins are made of, of which each library has a copy, and what is C in one.
let sharedByPlugins: [String: [Target.Dependency]] = [
    "AccessLog": ["CAccessLog"],
    "RoundRobin": ["Balancing"],
    "Compression": ["CCompression"],
    "Ketama": ["Balancing"],
    "Maglev": ["Balancing"],
    "Random": ["Balancing"],
    "LeastConnections": ["Balancing"],
    "Discovery": ["CDiscovery"],
    "RateLimit": ["RateLimiting"],
    "Tracing": ["CTracing"],
    "Cache": ["CCache", "CacheDisk", "CachePolicy", "TinyUFO"],
]

let strict: [SwiftSetting] = [
    // A tenth of the instructions of a request: docs/decisions/0005-host-modules-declare-public.md.
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
    // What one worker owns is a class here and there; debug builds, and so the tests, do check it.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Modules that may not touch raw memory at all.
///
/// The others are the fences that docs/decisions/0002-unsafe-fences.md names.
let safe: [SwiftSetting] = strict + [.strictMemorySafety()]

/// `SLUICE_EMBEDDED=1` compiles plugins as Embedded Swift: tens of kilobytes, and no runtime.
///
/// `scripts/embedded` builds and checks them so.
let isEmbedded = Context.environment["SLUICE_EMBEDDED"] == "1"
let embedded: [SwiftSetting] =
    isEmbedded
    ? [
        .enableExperimentalFeature("Embedded"),
        .unsafeFlags(["-wmo", "-Osize", "-Xfrontend", "-function-sections"]),
    ] : []

/// Shipped files carry their own Swift runtime; debug and test builds share the toolchain's.
let exportsMap = Context.packageDirectory + "/Plugins/exports.map"
let pluginLinking: [LinkerSetting] = [
    .unsafeFlags(
        isEmbedded ? ["-Xlinker", "--gc-sections", "-Xlinker", "-s"] : ["-static-stdlib"],
        .when(configuration: .release)
    ),
    .unsafeFlags([
        "-Xlinker", "--version-script=" + exportsMap, "-Xlinker", "-z", "-Xlinker", "nodelete",
    ]),
]

/// The engine carries its own runtime in every build: what it is loaded into may have another.
let engineExports = Context.packageDirectory + "/Sources/EngineLibrary/exports.map"
let engineLinking: [LinkerSetting] = [
    .unsafeFlags([
        "-static-stdlib", "-Xlinker", "--version-script=" + engineExports, "-Xlinker", "-z",
        "-Xlinker", "nodelete",
    ])
]

let sdk: [Target.Dependency] = [
    .product(name: "SluiceSDK", package: "SDK"), .product(name: "CSluice", package: "SDK"),
]

let testKit = Target.Dependency.product(name: "SluiceTestKit", package: "SDK")

let optimized: [SwiftSetting] = [.unsafeFlags(["-O"], .when(configuration: .debug))]

/// The cache's core, which knows nothing of plugins, and what tries and measures it.
let cacheCore: [Target] = [
    .target(name: "CTinyUFO", path: "Plugins/Cache/CTinyUFO"),
    // The tests of both run millions of requests, so they are optimized in debug builds, too.
    .target(
        name: "TinyUFO",
        dependencies: ["CTinyUFO"],
        path: "Plugins/Cache/Core",
        swiftSettings: strict + embedded + optimized
    ),
    .target(
        name: "TinyUFOWorkloads",
        dependencies: ["TinyUFO"],
        path: "Plugins/Cache/CoreWorkloads",
        swiftSettings: strict + optimized
    ),
    .executableTarget(
        name: "TinyUFOBench",
        dependencies: ["TinyUFO", "TinyUFOWorkloads"],
        path: "Plugins/Cache/CoreBench",
        swiftSettings: strict
    ),
    .testTarget(
        name: "TinyUFOTests",
        dependencies: ["TinyUFO", "TinyUFOWorkloads"],
        path: "Plugins/Cache/CoreTests",
        swiftSettings: strict
    ),
]

/// The cache's disk tier, which knows nothing of plugins either.
let cacheDisk: [Target] = [
    .target(name: "CCacheDisk", path: "Plugins/Cache/CCacheDisk"),
    .target(
        name: "CacheDisk",
        dependencies: ["CCacheDisk", "TinyUFO"],
        path: "Plugins/Cache/Disk",
        swiftSettings: strict + embedded + optimized
    ),
    .executableTarget(
        name: "CacheDiskBench",
        dependencies: ["CacheDisk", "TinyUFO", "TinyUFOWorkloads"],
        path: "Plugins/Cache/DiskBench",
        swiftSettings: strict + optimized
    ),
    // It starts the program above, and kills it.
    .testTarget(
        name: "CacheDiskTests",
        dependencies: ["CacheDisk", "CacheDiskBench", "TinyUFO", "TinyUFOWorkloads"],
        path: "Plugins/Cache/DiskTests",
        swiftSettings: strict + optimized
    ),
]

/// What RFC 9111 says of messages, which knows neither plugins nor where objects are.
let cachePolicy: [Target] = [
    .target(
        name: "CachePolicy",
        path: "Plugins/Cache/Policy",
        swiftSettings: strict + embedded
    ),
    .testTarget(
        name: "CachePolicyTests",
        dependencies: ["CachePolicy"],
        path: "Plugins/Cache/PolicyTests",
        swiftSettings: strict
    ),
    .target(name: "CCache", path: "Plugins/Cache/CCache"),
]

/// What limits count in and how they talk with a store, which knows nothing of plugins.
let rateLimitCore: [Target] = [
    .target(name: "CRateLimit", path: "Plugins/RateLimit/CRateLimit"),
    // Its tests count millions of requests, so it is optimized in debug builds, too.
    .target(
        name: "RateLimiting",
        dependencies: ["CRateLimit"],
        path: "Plugins/RateLimit/Core",
        swiftSettings: strict + embedded + optimized
    ),
    .testTarget(
        name: "RateLimitingTests",
        dependencies: ["RateLimiting", "TinyUFOWorkloads"],
        path: "Plugins/RateLimit/CoreTests",
        swiftSettings: strict + optimized
    ),
]

let package = Package(
    name: "sluice",
    products: [
        .executable(name: "sluice", targets: ["sluice"]),
        .library(name: "SluiceEngine", type: .dynamic, targets: ["EngineLibrary"]),
    ]
        + plugins.map { .library(name: $0, type: .dynamic, targets: [$0 + "Entry"]) },
    dependencies: [.package(path: "SDK")],
    targets: [
        .target(name: "CLinux"),
        .target(name: "Sys", dependencies: ["CLinux"], swiftSettings: strict),
        .target(name: "Reactor", dependencies: ["Sys"], swiftSettings: strict),
        .target(name: "HTTP", swiftSettings: strict),
        // The machine's library, so that its fixes reach the proxy without a new build.
        .target(
            name: "COpenSSL",
            // Debian's valgrind, which counts our instructions, does not read DWARF 5.
            cSettings: [.unsafeFlags(["-gdwarf-4"])],
            linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]
        ),
        .target(name: "TLS", dependencies: ["COpenSSL", "Sys"], swiftSettings: strict),
        .target(
            name: "PluginHost",
            dependencies: ["HTTP", "Sys", .product(name: "CSluice", package: "SDK")],
            swiftSettings: strict
        ),
        .target(
            name: "Proxy",
            dependencies: ["HTTP", "TLS", "Reactor", "PluginHost", "Sys"],
            swiftSettings: strict
        ),
        .target(
            name: "Engine",
            dependencies: ["Proxy", "PluginHost", "Reactor", "HTTP", "Sys"],
            swiftSettings: strict
        ),
        .target(
            name: "Conformance",
            dependencies: [
                "Engine", "Proxy", "PluginHost", "HTTP", "Sys",
                .product(name: "CSluice", package: "SDK"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "EngineLibrary",
            dependencies: [
                "Engine", "Server", "Proxy", "PluginHost", "Sys",
                .product(name: "CSluice", package: "SDK"),
            ],
            exclude: ["exports.map"],
            swiftSettings: strict,
            linkerSettings: engineLinking
        ),
        .target(name: "Admin", dependencies: ["HTTP", "Reactor", "Sys"], swiftSettings: safe),
        .target(
            name: "Supervisor",
            dependencies: ["Admin", "Reactor", "Sys"],
            swiftSettings: safe
        ),
        .target(
            name: "Server",
            dependencies: [
                "Admin", "Conformance", "PluginHost", "Proxy", "Reactor", "Supervisor", "Sys",
                "TLS",
            ],
            swiftSettings: safe
        ),
        .executableTarget(
            name: "sluice",
            dependencies: ["Server"],
            swiftSettings: safe,
            // No symbol of the host is visible to plugins, so none can bind to it by accident.
            linkerSettings: [.unsafeFlags(["-Xlinker", "--no-export-dynamic"])]
        ),

        .testTarget(
            name: "HTTPTests",
            dependencies: ["HTTP"],
            exclude: ["Vectors"],
            swiftSettings: strict
        ),
        .testTarget(name: "TLSTests", dependencies: ["TLS", "Sys"], swiftSettings: strict),
        .testTarget(name: "SysTests", dependencies: ["CLinux", "Sys"], swiftSettings: strict),
        .testTarget(name: "ReactorTests", dependencies: ["Reactor", "Sys"], swiftSettings: strict),
        .testTarget(
            name: "PluginHostTests",
            dependencies: ["PluginHost", "HTTP", "Sys", .product(name: "CSluice", package: "SDK")],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ProxyTests",
            dependencies: ["Proxy", "HTTP", "PluginHost", "Reactor", "Sys"],
            swiftSettings: strict
        ),
        .testTarget(name: "EngineTests", dependencies: ["Engine", "HTTP"], swiftSettings: strict),
        .testTarget(
            name: "ServerTests",
            dependencies: ["Admin", "Server", "Proxy", "TLS", "PluginHost"],
            swiftSettings: strict
        ),
        .testTarget(name: "AdminTests", dependencies: ["Admin", "Sys"], swiftSettings: strict),
        .testTarget(
            name: "SupervisorTests",
            dependencies: ["Supervisor", "Admin", "Sys"],
            swiftSettings: strict
        ),
        .testTarget(name: "TidyTests", swiftSettings: strict),

        .target(
            name: "Balancing",
            dependencies: sdk,
            path: "Plugins/Shared/Balancing",
            swiftSettings: strict + embedded
        ),
        // Opens zlib and the like at run time, so that neither a build nor a start needs them.
        .target(name: "CCompression", path: "Plugins/Compression/CCompression"),
        .testTarget(
            name: "BalancingTests",
            dependencies: [
                "Balancing", "RoundRobin", "Ketama", "Maglev", "Random", "LeastConnections",
            ] + sdk + [testKit],
            path: "Plugins/Shared/BalancingTests",
            swiftSettings: strict
        ),
        .target(name: "CAccessLog", path: "Plugins/AccessLog/CAccessLog"),
        .target(name: "CDiscovery", path: "Plugins/Discovery/CDiscovery"),
        .target(name: "CTracing", path: "Plugins/Tracing/CTracing"),
    ]
        + cacheCore
        + cacheDisk
        + cachePolicy
        + rateLimitCore
        + plugins.flatMap { name -> [Target] in
            [
                .target(
                    name: name,
                    dependencies: sdk + sharedByPlugins[name, default: []],
                    path: "Plugins/\(name)/Sources",
                    swiftSettings: strict + embedded
                ),
                // Headers of its own it has none: SwiftPM wants to be told where they are.
                .target(
                    name: name + "Descriptor",
                    dependencies: [.product(name: "CSluice", package: "SDK")],
                    path: "Plugins/\(name)/Descriptor",
                    publicHeadersPath: "."
                ),
                .target(
                    name: name + "Entry",
                    dependencies: [.target(name: name), .target(name: name + "Descriptor")] + sdk,
                    path: "Plugins/\(name)/Entry",
                    swiftSettings: strict + embedded,
                    linkerSettings: pluginLinking
                ),
                .testTarget(
                    name: name + "Tests",
                    dependencies: [
                        .target(name: name), .product(name: "SluiceSDK", package: "SDK"), testKit,
                    ] + sharedByPlugins[name, default: []],
                    path: "Plugins/\(name)/Tests",
                    swiftSettings: strict
                ),
            ]
        }
)

extension Target {
    /// What it is made of in this package.
    var parts: [String] {
        dependencies.compactMap { dependency in
            switch dependency {
            case .targetItem(let name, _), .byNameItem(let name, _): name
            default: nil
            }
        }
    }
}

// As Embedded Swift there is nothing but the plugins, so that one build makes them all.
if isEmbedded {
    var wanted: Set<String> = []
    var unseen = plugins.map { $0 + "Entry" }
    while let name = unseen.popLast() {
        guard wanted.insert(name).inserted else { continue }
        unseen += package.targets.first { $0.name == name }?.parts ?? []
    }
    package.targets.removeAll { !wanted.contains($0.name) }
    package.products.removeAll { !plugins.contains($0.name) }
}
