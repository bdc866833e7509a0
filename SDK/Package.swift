// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
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
        .target(name: "SluiceSDK", dependencies: ["CSluice"], swiftSettings: strict),
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
