package views

// textDrawer draws the words of the dashboard's author.
var textDrawer = drawer{body: prose, preview: miniNothing}
