package tokencache

// GCPercent returns the GOGC for a process that holds this cache. The collector
// lets the heap grow by so much of what lives on it before it collects; the
// default, 100, would double what is remembered. Beside a cache of n bytes it
// gets n/4, but never less than 256 MiB: less would make it work too often.
func (c *Cache) GCPercent() int {
	const least, most = 20, 100
	const room = 256 << 20 // bytes
	return int(min(most, max(least, room*most/max(1, c.bytes.Load()))))
}
