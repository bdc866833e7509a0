// The ways in which Swift fails.
import Glibc

nonisolated(unsafe) var zero = 0
nonisolated(unsafe) var numbers = [1]

@inline(never)
func deeper(_ depth: Int) -> Int {
    guard depth < .max else { return 0 }
    let room = InlineArray<256, Int>(repeating: depth)
    return deeper(depth &+ 1) &+ room[depth & 255]
}

@c func fault(_ how: UnsafePointer<UInt8>, _ length: UInt64) {
    switch String(decoding: UnsafeBufferPointer(start: how, count: Int(length)), as: UTF8.self) {
    case "null":
        UnsafeMutablePointer<Int>(bitPattern: 8 &+ zero).unsafelyUnwrapped.pointee = 1
    case "index": zero = numbers[7 &+ zero]
    case "overflow": zero = Int.max &- zero + 1 &+ numbers[0]
    case "fatal_error": fatalError("as it was asked to")
    case "unwrap":
        // swift-format-ignore: NeverForceUnwrap
        zero = Int(String(repeating: "x", count: 3))!
    case "stack": zero = deeper(0)
    case "loop": while sched_yield() == 0 {}
    default: break
    }
}
