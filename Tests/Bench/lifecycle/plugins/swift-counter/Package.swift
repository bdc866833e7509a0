// swift-tools-version: 6.2
import PackageDescription

// BUILD=2 makes the second of two builds. As Embedded Swift, which takes less time;
// SLUICE_EMBEDDED=1 must be set for the SDK.
let package = Package(
    name: "swift-counter",
    products: [.library(name: "SwiftCounter", type: .dynamic, targets: ["SwiftCounter"])],
    dependencies: [.package(name: "SDK", path: "../../../../../SDK")],
    targets: [
        .target(
            name: "SwiftCounter",
            dependencies: [
                .product(name: "SluiceSDK", package: "SDK"),
                .product(name: "CSluice", package: "SDK"),
            ],
            swiftSettings: [
                .enableExperimentalFeature("Embedded"), .unsafeFlags(["-wmo"]),
            ] + (Context.environment["BUILD"] == "2" ? [.define("SECOND")] : []),
            linkerSettings: [
                .unsafeFlags([
                    "-Xlinker",
                    "--version-script=" + Context.packageDirectory
                        + "/../../../../../Plugins/exports.map",
                ])
            ]
        )
    ]
)
