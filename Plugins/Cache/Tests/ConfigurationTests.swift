import Testing

struct CachePlaceholder {}
