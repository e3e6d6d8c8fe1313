package policy

import (
	"fmt"
	"strconv"
	"sync"
	"time"
	_ "time/tzdata" // zones must not depend on what the machine has
)

// zones finds time zones by their IANA names and remembers those that exist:
// there are some six hundred, however many names are asked for.
type zones struct{ known sync.Map } // string → *time.Location

func (z *zones) find(name string) (*time.Location, error) {
	if known, ok := z.known.Load(name); ok {
		return known.(*time.Location), nil //nolint:forcetypeassert // the map holds nothing else
	}
	if name == "" || name == "Local" { // Go's own names for what differs between machines
		return nil, fmt.Errorf("%.40q is not a time zone such as Europe/Berlin or UTC", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%.40q is not a time zone such as Europe/Berlin or UTC", name)
	}
	z.known.Store(name, zone)
	return zone, nil
}

// misuse is the message about a call that fails whatever the question is.
func (*zones) misuse(function, zone string, try func(zone string) error) string {
	if err := try(zone); err != nil {
		return fmt.Sprintf("%s(): %s", function, err)
	}
	return ""
}

// local returns the moment at which clocks in the zone show a date and time. One
// that they skip in spring is the moment an hour later; of one that they show
// twice in autumn it is the first.
func (z *zones) local(text, name string) (time.Time, error) {
	zone, err := z.find(name)
	if err != nil {
		return time.Time{}, err
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			if first := at.Add(-time.Hour); first.Format(layout) == at.Format(layout) {
				return first, nil // Go does not say which of the two it takes
			}
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is not a local time such as 2027-01-01T20:15", text)
}

// inWindow reports whether clocks in the zone show a time of day from `from`
// until before `to`; where `to` is the earlier one, over midnight.
func (z *zones) inWindow(at time.Time, name, from, to string) (bool, error) {
	zone, err := z.find(name)
	if err != nil {
		return false, err
	}
	begin, err := timeOfDay(from)
	if err != nil {
		return false, err
	}
	end, err := timeOfDay(to)
	if err != nil {
		return false, err
	}
	if begin == end {
		return false, fmt.Errorf("the window from %s to %s is empty", from, to)
	}
	local := at.In(zone)
	now := local.Hour()*60 + local.Minute()
	if begin < end {
		return now >= begin && now < end, nil
	}
	return now >= begin || now < end, nil
}

// timeOfDay reads "20:15" as minutes since midnight; "24:00" is the end of the
// day.
func timeOfDay(text string) (int, error) {
	wrong := fmt.Errorf("%.40q is not a time of day such as 20:15", text)
	if len(text) != len("20:15") || text[2] != ':' {
		return 0, wrong
	}
	hour, err := strconv.ParseUint(text[:2], 10, 8)
	minute, err2 := strconv.ParseUint(text[3:], 10, 8)
	if err != nil || err2 != nil || minute > 59 || hour > 24 || hour == 24 && minute > 0 {
		return 0, wrong
	}
	return int(hour*60 + minute), nil
}
