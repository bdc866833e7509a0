// swift-tools-version: 6.2
import PackageDescription

// Where the SDK is: in this tree, or the folder that SLUICE_SDK names (an installed Sluice has it
// in PREFIX/share/sluice/SDK).
let sdk = Context.environment["SLUICE_SDK"] ?? "../../SDK"

let package = Package(
    name: "custom-balancer",
    products: [.library(name: "CustomBalancer", type: .dynamic, targets: ["CustomBalancerEntry"])],
    dependencies: [.package(name: "SDK", path: sdk)],
    targets: [
        .target(
            name: "CustomBalancer",
            dependencies: [.product(name: "SluiceSDK", package: "SDK")]
        ),
        // What the library has and a test's program must not: the entry and its linker's flags.
        .target(
            name: "CustomBalancerEntry",
            dependencies: [
                "CustomBalancer",
                "CustomBalancerDescriptor",
                .product(name: "SluiceSDK", package: "SDK"),
                .product(name: "CSluice", package: "SDK"),
            ],
            linkerSettings: [
                // The library carries its own Swift runtime, so it runs where no Swift is installed
                // and shares nothing with the host or with other plugins.
                .unsafeFlags(["-static-stdlib"], .when(configuration: .release)),
                // It exports its one symbol, and is never unmapped.
                .unsafeFlags([
                    "-Xlinker", "--version-script=" + Context.packageDirectory + "/exports.map",
                    "-Xlinker", "-z", "-Xlinker", "nodelete",
                ]),
            ]
        ),
        // What the host reads without running the plugin. SwiftPM wants a target of its own for C,
        // and to be told where its headers are, of which there are none.
        .target(
            name: "CustomBalancerDescriptor",
            dependencies: [.product(name: "CSluice", package: "SDK")],
            publicHeadersPath: "."
        ),
        .testTarget(
            name: "CustomBalancerTests",
            dependencies: [
                "CustomBalancer",
                .product(name: "SluiceSDK", package: "SDK"),
                .product(name: "SluiceTestKit", package: "SDK"),
            ]
        ),
    ]
)
