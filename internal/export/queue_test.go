package export

import (
	"errors"
	"io"
	"testing"

	"flowtools/internal/flowtest"
)

func TestQueue(t *testing.T) {
	l := flowtest.Layout(5, 0)
	text := NewText(l, fieldsOf(l), Style{Sep: ",", Close: "\n"})
	var got []byte
	q := NewQueue(func(s *Source) error {
		var err error
		got, err = io.ReadAll(s.Reader(text))
		return err
	})
	var want []byte
	for i := range 20 {
		b := flowtest.Random(l, 10+i, uint64(i))
		want = text.Append(want, b)
		if err := q.Write(b); err != nil {
			t.Fatal(err)
		}
		clear(b.Bytes()) // the batch is the caller's again
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q.Abort()
	if string(got) != string(want) {
		t.Errorf("%d octets arrived, %d were sent", len(got), len(want))
	}
}

func TestQueueEnds(t *testing.T) {
	l := flowtest.Layout(5, 0)
	b := flowtest.Random(l, 10, 1)
	failure := errors.New("no such table")

	t.Run("loader fails at once", func(t *testing.T) {
		q := NewQueue(func(*Source) error { return failure })
		var err error
		for range 100 {
			if err = q.Write(b); err != nil {
				break
			}
		}
		if !errors.Is(err, failure) {
			t.Errorf("Write: %v", err)
		}
		q.Abort()
	})
	t.Run("loader fails at the end", func(t *testing.T) {
		q := NewQueue(func(s *Source) error {
			for {
				if b, err := s.Next(); b == nil || err != nil {
					return failure
				}
			}
		})
		if err := q.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := q.Close(); !errors.Is(err, failure) {
			t.Errorf("Close: %v", err)
		}
	})
	t.Run("aborted", func(t *testing.T) {
		var ended error
		q := NewQueue(func(s *Source) error {
			_, ended = io.Copy(io.Discard, s.Reader(NewText(l, nil, Style{Close: "\n"})))
			return ended
		})
		if err := q.Write(b); err != nil {
			t.Fatal(err)
		}
		q.Abort()
		if !errors.Is(ended, errAborted) {
			t.Errorf("the loader saw %v", ended)
		}
	})
	t.Run("nothing written", func(t *testing.T) {
		q := NewQueue(func(*Source) error { return failure })
		if err := q.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		q.Abort()
	})
}
