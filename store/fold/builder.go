package fold

// BlockBuilder makes a damaged block anew, from blocks of shorter steps or from steps that were
// counted again. The zero builder is empty.
type BlockBuilder struct {
	cells   groups
	partial bool
}

// AddBlock adds a block. The error is store.ErrDamaged when it can't be read, and then nothing
// is added. A block that is partial makes the built one partial.
func (b *BlockBuilder) AddBlock(block []byte) error {
	cells, err := readBlock(block)
	if err != nil {
		return err
	}
	b.add(cells)
	b.partial = b.partial || block[0] == partialVersion
	return nil
}

// AddStep adds a step, which stays as it is.
func (b *BlockBuilder) AddStep(s RollupStep) { b.add(s.cells) }

func (b *BlockBuilder) add(cells groups) {
	if b.cells == nil {
		b.cells = groups{}
	}
	b.cells.merge(cells)
}

// Lack makes the block a partial one: something is missing.
func (b *BlockBuilder) Lack() { b.partial = true }

// Partial reports whether something is missing.
func (b *BlockBuilder) Partial() bool { return b.partial }

// Events returns how many events are counted.
func (b *BlockBuilder) Events() (n int64) {
	for _, c := range b.cells {
		n += c.count
	}
	return n
}

// Block returns the block.
func (b *BlockBuilder) Block() []byte { return b.cells.appendBlock(nil, b.partial) }
