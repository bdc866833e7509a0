import CSluice
package import SluiceSDK

extension CacheFilter {
    package static func offer(_ offer: inout Offer) {
        offer.create = { Export<CacheFilter>.create($0, $1, $2) }
        offer.check = { Export<CacheFilter>.check($0, $1) }
        offer.requestEnd = { Export<CacheFilter>.requestEnd($0, $1, $2, $3, $4) }
        offer.upstreamResponse = { Export<CacheFilter>.upstreamResponse($0, $1, $2, $3, $4) }
        offer.perform = { Export<CacheFilter>.perform($0, $1, $2) }
        offer.exportState = { Export<CacheFilter>.exportState($0, $1, $2) }
        offer.importState = { Export<CacheFilter>.importState($0, $1, $2) }
        offer.warm = { Export<CacheFilter>.warm($0, $1) }
        offer.cache.lookup = { Export<CacheFilter>.cacheLookup($0, $1, $2, $3, $4) }
        offer.cache.admit = { Export<CacheFilter>.cacheAdmit($0, $1, $2, $3, $4) }
        offer.cache.failed = { Export<CacheFilter>.cacheFailed($0, $1, $2, $3, $4) }
        offer.cache.write = { Export<CacheFilter>.cacheWrite($0, $1, $2, $3) }
        offer.cache.commit = { Export<CacheFilter>.cacheCommit($0, $1, $2) }
        offer.cache.abort = { Export<CacheFilter>.cacheAbort($0, $1, $2) }
        offer.cache.read = { Export<CacheFilter>.cacheRead($0, $1, $2, $3, $4) }
        offer.cache.close = { Export<CacheFilter>.cacheClose($0, $1, $2) }
        offer.cache.purge = { Export<CacheFilter>.cachePurge($0, $1, $2) }
    }
}
