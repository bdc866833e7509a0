// swift-tools-version: 6.2
import PackageDescription

/// `SLUICE_EMBEDDED=1` compiles the Swift layer as Embedded Swift, for plugins without a runtime.
///
/// It needs a release build, and a scratch folder of its own: `scripts/embedded` has the command.
let embedded: [SwiftSetting] =
    Context.environment["SLUICE_EMBEDDED"] == "1"
    ? [
        .enableExperimentalFeature("Embedded"),
        .unsafeFlags(["-wmo", "-Osize", "-Xfrontend", "-function-sections"]),
    ] : []

let strict: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ]

let package = Package(
    name: "SDK",
    products: [
        .library(name: "CSluice", targets: ["CSluice"]),
        .library(name: "SluiceSDK", targets: ["SluiceSDK"]),
        .library(name: "SluiceTestKit", targets: ["SluiceTestKit"]),
    ],
    targets: [
        .target(name: "CSluice"),
        .target(name: "CFile"),
        .target(
            name: "SluiceSDK",
            dependencies: ["CSluice", "CFile"],
            swiftSettings: strict + embedded
        ),
        .target(
            name: "SluiceTestKit",
            dependencies: ["CSluice", "SluiceSDK"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SluiceSDKTests",
            dependencies: ["CSluice", "SluiceSDK", "SluiceTestKit"],
            swiftSettings: strict
        ),
    ]
)
