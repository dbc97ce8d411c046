package main

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"pulseboard/store"
)

// shop simulates a small web shop: visits follow the hours of the day and the days
// of the week, some visitors sign up, some order, and now and then the server has an
// incident.
type shop struct{ rand *rand.Rand }

func newShop() *shop {
	return &shop{rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 7))}
}

// share is a value and how often it comes up.
type share struct {
	value  string
	weight float64
}

var (
	shopPages = []share{
		{"/", 24}, {"/products/moka-pot", 16}, {"/sale/autumn", 14}, {"/products/grinder-m2", 11}, {"/cart", 10},
		{"/checkout", 8}, {"/blog/water-temperature", 6}, {"/products/filter-papers", 5}, {"/account/orders", 4}, {"/search?q=decaf", 2},
	}
	shopSources   = []share{{"Search", 48}, {"Direct", 29}, {"Newsletter", 12}, {"Social", 7}, {"Partner", 4}}
	shopCountries = []share{{"DE", 37}, {"FR", 21}, {"NL", 13}, {"AT", 10}, {"GB", 8}, {"ES", 6}, {"SE", 5}}
	shopPlans     = []share{{"free", 70}, {"team", 22}, {"business", 8}}
)

func (s *shop) pick(shares []share) store.Value {
	total := 0.0
	for _, x := range shares {
		total += x.weight
	}
	at := s.rand.Float64() * total
	for _, x := range shares {
		if at -= x.weight; at < 0 {
			return store.Text(x.value)
		}
	}
	return store.Text(shares[0].value)
}

const (
	// newcomers is how many people discover the shop in a second. So the longer a range,
	// the more visitors it has.
	newcomers = 0.5
	// returning is how many seconds after discovering it people visit the shop, on average.
	returning = 2 * 3600
)

// visitor draws a person who visits at a moment.
func (s *shop) visitor(at time.Time) string {
	discovered := float64(at.Unix()) - s.rand.ExpFloat64()*returning
	return "v" + strconv.FormatInt(int64(discovered*newcomers), 36)
}

// second gives the events of one second.
func (s *shop) second(at time.Time) []store.Event {
	var events []store.Event
	busy := dayCurve(at) * weekCurve(at)
	trouble := incident(at)
	add := func(name string, properties ...store.Property) {
		events = append(events, store.Event{
			Name:       name,
			Time:       at.Add(time.Duration(s.rand.Int64N(int64(time.Second)))).UTC(),
			User:       s.visitor(at),
			Properties: store.NewProperties(properties),
		})
	}
	for range s.poisson(0.9 * busy) {
		path := s.pick(shopPages)
		add("visit", store.Property{Key: "path", Value: path}, store.Property{Key: "source", Value: s.pick(shopSources)},
			store.Property{Key: "country", Value: s.pick(shopCountries)})
		add("request", store.Property{Key: "path", Value: path}, store.Property{Key: "status", Value: s.status(trouble)},
			store.Property{Key: "duration_ms", Value: s.duration(path.String(), trouble)})
	}
	for range s.poisson(0.05 * busy) {
		add("signup", store.Property{Key: "plan", Value: s.pick(shopPlans)}, store.Property{Key: "source", Value: s.pick(shopSources)})
	}
	for range s.poisson(0.11 * busy * (1 - 0.7*trouble)) {
		amount := math.Round((12+s.rand.ExpFloat64()*24)*100) / 100
		add("order", store.Property{Key: "amount", Value: store.Num(amount)}, store.Property{Key: "country", Value: s.pick(shopCountries)})
	}
	return events
}

// poisson draws how many of something happen that happens mean times on average
// (Knuth, The Art of Computer Programming, vol. 2, 3.4.1).
func (s *shop) poisson(mean float64) int {
	limit, product, n := math.Exp(-mean), s.rand.Float64(), 0
	for product > limit {
		product *= s.rand.Float64()
		n++
	}
	return n
}

func (s *shop) status(trouble float64) store.Value {
	switch x := s.rand.Float64(); {
	case x < 0.002+0.12*trouble:
		return store.Num(503)
	case x < 0.003+0.14*trouble:
		return store.Num(500)
	case x < 0.03:
		return store.Num(404)
	case x < 0.09:
		return store.Num(304)
	}
	return store.Num(200)
}

func (s *shop) duration(path string, trouble float64) store.Value {
	typical := 45.0
	if path == "/checkout" {
		typical = 120
	}
	ms := typical * math.Exp(s.rand.NormFloat64()*0.45) * (1 + 4*trouble)
	return store.Num(math.Round(ms*10) / 10)
}

// dayCurve is how busy the shop is: quiet at four in the morning UTC, lively in
// the evening, never asleep.
func dayCurve(at time.Time) float64 {
	hour := float64(at.Unix()%86400) / 3600
	return 1 + 0.55*math.Sin((hour-10)/24*2*math.Pi) + 0.12*math.Sin(hour*2.7)
}

// weekCurve is how busy the day of the week makes the shop: most on Tuesday evenings,
// least on Saturday mornings.
func weekCurve(at time.Time) float64 {
	const week = 7 * 86400
	const tuesdayEvening = 5*86400 + 18*3600 // the epoch began on a Thursday
	return 1 + 0.3*math.Cos(float64(at.Unix()-tuesdayEvening)/week*2*math.Pi)
}

// incident is how badly the shop fares, from 0 to 1: for three minutes of every forty,
// and for an hour of every sixty, which ranges of days show.
func incident(at time.Time) float64 {
	return max(swell(at, 2400, 180), swell(at, 60*3600, 3600))
}

// swell rises from 0 to 1 and falls again in the first `long` seconds of every `every`.
func swell(at time.Time, every, long int64) float64 {
	into := at.Unix() % every
	if into >= long {
		return 0
	}
	return math.Sin(float64(into) / float64(long) * math.Pi)
}
