package e2e_test

// typeRow is what one ID has, by type: the `sub` of its token, "-" where Mux
// wants none, "" where there is no such token (400 type_unavailable).
type typeRow struct {
	id, policy                             string
	video, thumbnail, gif, storyboard, drm string
	stats, statsAsset, statsLive           string
	staticRendition                        string // of video
	statsVideo                             string // is asked for by video_id alone
	byObject                               string // the query of /stats/counts that counts the object
	unknown, isLive, isVideoData           bool
}

// typeTable is contract §4 as a table: every policy, every type.
func typeTable() []typeRow {
	return []typeRow{
		{
			id: "PIDacme", policy: "signed", video: "PIDacme", thumbnail: "PIDacme", gif: "PIDacme", storyboard: "PIDacme",
			stats: "PIDacme", statsAsset: "ASSETacme", staticRendition: "PIDacme", byObject: "asset_id=ASSETacme",
		},
		{
			id: "PUBacme", policy: "public", video: "-", thumbnail: "-", gif: "-", storyboard: "-",
			stats: "PUBacme", statsAsset: "OPENacme", staticRendition: "-", byObject: "asset_id=OPENacme",
		},
		{
			id: "DRMacme", policy: "drm", video: "DRMacme", thumbnail: "DRMacme", gif: "DRMacme", storyboard: "DRMacme", drm: "DRMacme",
			stats: "DRMacme", statsAsset: "LOCKEDacme", byObject: "asset_id=LOCKEDacme",
		},
		{
			id: "LIVEacme", policy: "signed", video: "LIVEacme", thumbnail: "LIVEacme", gif: "LIVEacme", storyboard: "LIVEacme",
			stats: "LIVEacme", statsLive: "STREAMacme", staticRendition: "LIVEacme", byObject: "live_stream_id=STREAMacme", isLive: true,
		},
		{
			id: "PUBLIVEacme", policy: "public", video: "-", thumbnail: "-", gif: "-", storyboard: "-",
			stats: "PUBLIVEacme", statsLive: "OPENSTREAMacme", staticRendition: "-", byObject: "live_stream_id=OPENSTREAMacme", isLive: true,
		},
		{
			id: "NOBODY", policy: "signed", video: "NOBODY", thumbnail: "NOBODY", gif: "NOBODY", storyboard: "NOBODY", drm: "NOBODY",
			stats: "NOBODY", staticRendition: "NOBODY", unknown: true,
		},
		{id: `film/1"`, statsVideo: `film/1"`, isVideoData: true},
	}
}

// wanted returns the row's cell for each type.
func (r typeRow) wanted() map[string]string {
	return map[string]string{
		"video": r.video, "thumbnail": r.thumbnail, "gif": r.gif, "storyboard": r.storyboard, "drm_license": r.drm,
		"stats": r.stats, "stats_asset": r.statsAsset, "stats_live_stream": r.statsLive, "stats_video": r.statsVideo,
	}
}

// paths returns the redirects of a type.
func (r typeRow) paths(kind string) []string {
	switch kind {
	case "video":
		return []string{"/stream/" + r.id + ".m3u8", "/stream/" + r.id + "/text/en.vtt", "/stream/" + r.id + "/text/en.txt"}
	case "thumbnail":
		return []string{"/image/" + r.id + "/thumbnail.png"}
	case "gif":
		return []string{"/image/" + r.id + "/animated.webp"}
	case "storyboard":
		return []string{"/image/" + r.id + "/storyboard.json"}
	case "drm_license":
		return []string{"/license/widevine/" + r.id, "/license/fairplay/" + r.id, "/license/playready/" + r.id, "/license/appcert/fairplay/" + r.id}
	case "stats":
		return []string{"/stats/counts?playback_id=" + r.id}
	case "stats_asset", "stats_live_stream":
		if r.wanted()[kind] != "" {
			return []string{"/stats/counts?" + r.byObject}
		}
	}
	return nil
}

// auds are the audience codes of mux.md §1.3.
var auds = map[string]string{
	"video": "v", "thumbnail": "t", "gif": "g", "storyboard": "s", "drm_license": "d",
	"stats": "playback_id", "stats_asset": "asset_id", "stats_live_stream": "live_stream_id", "stats_video": "video_id",
}
