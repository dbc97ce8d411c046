package store

// ViewState is what is known durably of a view: which ids it issued, and when
// each widget last changed. A cursor works after a restart because of it.
type ViewState struct {
	First, Last Seq       // the ids issued lie between; 0 means none yet
	Epoch       int64     // drawn at random with the first id; every id of the view carries it
	Loose       []IDRange // ids given to pages while nobody watched, which another epoch tells apart; the newest last
	Layout      string    // digest of the dashboard's definition
	LayoutSeq   Seq       // when that last changed
	Widgets     map[WidgetKey]WidgetState
}

// IDRange is ids of one epoch.
type IDRange struct {
	Epoch       int64 `json:"e"`
	First, Last Seq
}

// ViewOwner is whose screens a view was watched on first, as a name of fixed length. What is
// kept of views is bounded for each.
type ViewOwner string

// WidgetState is when a widget of a view last changed, and to what.
type WidgetState struct {
	Value      string `json:"v"` // digest of the JSON reading
	ValueSeq   Seq    `json:"vs"`
	Picture    string `json:"p"` // digest of the rendered HTML
	PictureSeq Seq    `json:"ps"`
	Removed    bool   `json:"r,omitempty"` // the widget went away, at PictureSeq
}
