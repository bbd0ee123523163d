package words_test

import (
	"math"
	"testing"

	"github.com/shoalgrid/shoal/internal/words"
)

func TestWords(t *testing.T) {
	rate := func(perSecond float64) string {
		number, unit := words.Rate(perSecond)
		return number + "/" + unit
	}
	peer := "12D3KooWLdN43w4nuB5Aynpsc1xUe8iiJngftpGFaage4AV7dSX9"
	for _, c := range []struct{ got, want string }{
		{words.Short("b5f3k2qaabcdefg"), "b5f3k2qa"},
		{words.Short("b5f"), "b5f"},
		{words.Peer(peer), "12D3…dSX9"},
		{words.Peer("x"), "x"},
		{words.Who("", peer), "12D3…dSX9"},
		{words.Who("den", peer), "den (12D3…dSX9)"},
		{words.Place("/ip4/192.0.2.2/tcp/4901/p2p/" + peer), "192.0.2.2:4901"},
		{words.Place("/ip6/fd00::2/udp/4901/quic-v1"), "[fd00::2]:4901"},
		{words.Place("/ip4/192.0.2.2"), ""},
		{words.Place("nonsense"), ""},
		{words.Count(0, "unit"), "0 units"},
		{words.Count(1, "unit"), "1 unit"},
		{words.Count(uint64(4096), "unit"), "4,096 units"},
		{words.Comma(-1234567), "-1,234,567"},
		{words.Part(1, int64(1), "core"), "1 of 1 core"},
		{words.Part(1200, uint32(4096), "unit"), "1,200 of 4,096 units"},
		{words.Size(0), "0 B"},
		{words.Size(512), "512 B"},
		{words.Size(1 << 10), "1 KiB"},
		{words.Size(3 << 19), "1.5 MiB"},
		{words.Size(10<<30 - 1), "10 GiB"},
		{words.Size(math.MaxUint64), "16 EiB"},
		{rate(1234.5), "1234/s"},
		{rate(12), "12/s"},
		{rate(1.25), "1.2/s"},
		{rate(0.5), "30.0/min"},
		{rate(0.001), "3.6/h"},
	} {
		if c.got != c.want {
			t.Errorf("%q, not %q", c.got, c.want)
		}
	}
}
