package present

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"stagebox/lessons/internal/transcript"
)

// Show is a lesson on a terminal.
type Show struct {
	Title   string
	Scenes  []Scene
	Session transcript.Session // with the binary of the lesson's stage
	Notes   io.Writer          // where the speaker reads what to say; nil shows no notes
	First   int                // the scene to begin with, from 1; 0 is the first
	Width   func() int         // of the terminal, in columns
	Typing  time.Duration      // how long it takes to type a letter
}

// move is a step of a scene.
type move struct{ scene, step int }

// stage is a show that is on.
type stage struct {
	Show
	screen screen
	keys   <-chan key
	moves  []move
	at     int  // the move that comes next
	jumped bool // the scene that begins there was jumped to
	number int  // of a scene, as far as it has been typed
	player transcript.Player
	stop   chan struct{} // ends the wait for the player's step
}

// errQuit ends the show.
var errQuit = errors.New("quit")

// Run plays until the presenter quits, there are no more keys, or the context is over. It
// leaves nothing running. The terminal has to be in raw mode.
func (s Show) Run(ctx context.Context, keys io.Reader, out io.Writer) error {
	st := &stage{Show: s, screen: screen{out: out, width: s.Width}, keys: listen(keys), moves: s.moves()}
	if len(st.moves) == 0 {
		return errors.New("nothing in this lesson can be run by this user: the sessions in it need root")
	}
	if err := st.open(); err != nil {
		return err
	}
	defer func() { st.player.Close() }()
	err := st.begin(ctx)
	for err == nil {
		select {
		case k, ok := <-st.keys:
			if !ok {
				k = quit
			}
			err = st.do(ctx, k)
		case <-ctx.Done():
			err = errQuit
		}
	}
	st.screen.print(wipe)
	if errors.Is(err, errQuit) {
		return nil
	}
	return err
}

// begin is where the presenter wants to begin.
func (st *stage) begin(ctx context.Context) error {
	if st.First > 1 {
		return st.jump(ctx, st.scene(st.First))
	}
	return st.arrive(ctx)
}

// moves are the steps of the scenes that can be run here.
func (s Show) moves() (all []move) {
	for i, scene := range s.Scenes {
		for j := range scene.Steps {
			if s.Session.LeftOut(scene.Block) == "" {
				all = append(all, move{i, j})
			}
		}
	}
	return all
}

// open makes a clean place.
func (st *stage) open() (err error) {
	st.stop = make(chan struct{})
	session := st.Session
	session.Stop = st.stop
	session.Show = func(transcript.Block) io.Writer { return &window{screen: &st.screen} }
	st.player, err = session.Open()
	return err
}

func (st *stage) do(ctx context.Context, k key) error {
	st.screen.print(wipe)
	number := st.number
	st.number = 0
	switch {
	case k == quit:
		return errQuit
	case k >= digit:
		st.number = min(10*number+int(k-digit), 999)
		st.offer(fmt.Sprintf("scene %d of %d: Enter or g goes there", st.number, st.count(len(st.moves))))
		return nil
	case number > 0 && (k == next || k == goTo):
		return st.jump(ctx, st.scene(number))
	case k == goTo:
	case k == repeat:
		return st.jump(ctx, st.sceneStart(max(0, st.at-1)))
	case k == back:
		return st.jump(ctx, st.before())
	case st.at < len(st.moves):
		if err := st.tell(st.play(ctx, st.Typing)); err != nil {
			return err
		}
	}
	return st.arrive(ctx)
}

// sceneStart is where the scene of a move begins.
func (st *stage) sceneStart(at int) int {
	for at > 0 && st.moves[at-1].scene == st.moves[at].scene {
		at--
	}
	return at
}

// scene is where the scene of a number begins, counted from 1 among those that can be run here.
func (st *stage) scene(number int) int {
	at := 0
	for i := range st.moves {
		if st.sceneStart(i) == i {
			if at = i; number <= 1 {
				break
			}
			number--
		}
	}
	return at
}

// count is how many scenes begin before a move.
func (st *stage) count(end int) (n int) {
	for i := range end {
		if st.sceneStart(i) == i {
			n++
		}
	}
	return n
}

// before is the move before the next one, for which something is typed.
func (st *stage) before() int {
	at := max(0, st.at-1)
	for at > 0 && st.typed(at) == nil {
		at--
	}
	return at
}

func (st *stage) typed(at int) *string {
	m := st.moves[at]
	return st.Scenes[m.scene].Steps[m.step].Typed
}

// play runs the next move. Typing takes its time, but no more than a second and a half.
func (st *stage) play(ctx context.Context, typing time.Duration) error {
	m := st.moves[st.at]
	if typed := st.typed(st.at); typed != nil && len(*typed) > 0 {
		typing = min(typing, 1500*time.Millisecond/time.Duration(len(*typed)))
	}
	st.player.Typing = typing
	err := st.wait(ctx, func() error { return st.player.Play(st.Scenes[m.scene].Block, m.step) })
	st.at++
	return err
}

// wait does something that takes a while, and gives up when the presenter quits.
func (st *stage) wait(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	for {
		select {
		case err := <-done:
			return err
		case k, ok := <-st.keys:
			if ok && k != quit {
				continue // not now
			}
		case <-ctx.Done():
		}
		close(st.stop)
		<-done
		return errQuit
	}
}

// tell says what went otherwise than in the lesson; only quitting ends the show.
func (st *stage) tell(err error) error {
	var other transcript.Mismatch
	switch {
	case err == nil || errors.Is(err, errQuit):
		return err
	case errors.As(err, &other):
		st.screen.line()
		st.screen.paragraph(fmt.Sprintf("(The lesson shows something else here, after its line %d.)", other.Line))
	default:
		st.screen.line()
		st.screen.paragraph(err.Error())
	}
	return nil
}

// jump tears all down and brings a new session to a move. What its scene has shown before
// that move is shown again.
func (st *stage) jump(ctx context.Context, to int) error {
	st.player.Close()
	if err := st.open(); err != nil {
		return err
	}
	from := st.sceneStart(to)
	for st.at = 0; st.at < to; {
		st.screen.muted = st.at < from
		switch {
		case st.screen.muted:
			st.screen.print(wipe + faint + fmt.Sprintf("a clean start, and what comes before: %d of %d", st.at+1, from) + plainly)
		case st.at == from:
			st.announce(true)
		}
		if err := st.play(ctx, 0); errors.Is(err, errQuit) {
			return err
		}
	}
	st.screen.muted, st.jumped = false, to == from
	return st.arrive(ctx)
}

// arrive announces a scene that begins, and offers the next move. What nothing is typed for,
// the rest of what Enter has brought in the scene before, is run at once.
func (st *stage) arrive(ctx context.Context) error {
	for ; st.at < len(st.moves); st.screen.line() {
		if st.at == st.sceneStart(st.at) {
			st.announce(st.jumped || st.at == 0)
			st.jumped = false
		}
		if typed := st.typed(st.at); typed != nil {
			st.offer(cmp.Or(*typed, "Enter"))
			return nil
		}
		if err := st.tell(st.play(ctx, 0)); err != nil {
			return err
		}
	}
	st.offer("the end of the lesson")
	return nil
}

// announce prints the heading, if it is another one or on an empty screen, and the note.
func (st *stage) announce(empty bool) {
	at := st.moves[st.at].scene
	scene := st.Scenes[at]
	st.screen.line()
	another := empty || st.Scenes[st.moves[st.at-1].scene].Heading != scene.Heading
	if empty || another && st.typed(st.at) != nil { // else what it is about has just been shown
		st.screen.print(clear)
	}
	if another {
		number := fmt.Sprintf(" · scene %d of %d", st.count(st.at+1), st.count(len(st.moves)))
		st.screen.print(faint + st.Title + number + plainly + "\n" + bold + scene.Heading + plainly + "\n")
	}
	st.screen.print("\n")
	st.leftOut(at)
	if st.Notes != nil && scene.Note != "" && !st.screen.muted {
		fmt.Fprintf(st.Notes, "scene %d, line %d: %s\n%s\n\n", st.count(st.at+1), scene.Line, scene.Heading, scene.Note)
	}
	if where := whose(scene.Block); where != "" {
		st.screen.print(faint + "── " + where + " " + strings.Repeat("─", 20) + plainly + "\n")
	}
}

// leftOut reports the scenes just before one that cannot be run here.
func (st *stage) leftOut(at int) {
	for i := at - 1; i >= 0; i-- {
		why := st.Session.LeftOut(st.Scenes[i].Block)
		if why == "" {
			return
		}
		st.screen.paragraph(fmt.Sprintf("(Left out, at line %d: %s.)", st.Scenes[i].Line, why))
	}
}

// whose says which terminal a block is typed in, if that is not the first, and by whom.
func whose(b transcript.Block) string {
	var parts []string
	if b.Terminal != "1" {
		parts = append(parts, "terminal "+b.Terminal)
	}
	if b.As == "user" {
		parts = append(parts, "an ordinary user")
	}
	return strings.Join(parts, ", ")
}

// offer is the presenter's own line, below what is shown.
func (st *stage) offer(coming string) {
	st.screen.line()
	keys := fmt.Sprintf("  %d/%d  [b]ack [r]epeat [q]uit", st.at, len(st.moves))
	st.screen.print(reverse + "[space]" + plainly + " " + cut(coming, st.Width()-len(keys)-9) + faint + keys + plainly)
}
