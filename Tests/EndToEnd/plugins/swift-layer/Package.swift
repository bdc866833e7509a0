// swift-tools-version: 6.2
import PackageDescription

// Built as Embedded Swift: it takes less time, and shows that the whole Swift layer is in that
// subset. SLUICE_EMBEDDED=1 must be set for the SDK.
let package = Package(
    name: "swift-layer",
    products: [.library(name: "SwiftLayer", type: .dynamic, targets: ["SwiftLayer"])],
    dependencies: [.package(name: "SDK", path: "../../../../SDK")],
    targets: [
        .target(
            name: "SwiftLayer",
            dependencies: [
                .product(name: "SluiceSDK", package: "SDK"),
                .product(name: "CSluice", package: "SDK"),
            ],
            swiftSettings: [
                .enableExperimentalFeature("Embedded"), .unsafeFlags(["-wmo"]),
            ],
            linkerSettings: [
                .unsafeFlags([
                    "-Xlinker",
                    "--version-script=" + Context.packageDirectory
                        + "/../../../../Plugins/exports.map",
                ])
            ]
        )
    ]
)
